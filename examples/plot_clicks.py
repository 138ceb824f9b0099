"""
Clicks: from a data frame to calibrated probabilities
=====================================================

A log of page views records the user, the advertisement, the device, the hour, the price, and whether the user
clicked. Most users and advertisements are rare. An encoder hashes the columns of the data frame, and a linear model
predicts the probability of a click. The log is simulated.
"""

# %%
# A log of page views
# -------------------

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.calibration import calibration_curve
from sklearn.metrics import log_loss, roc_auc_score

from sklearn_vectorflow import VectorFlowClassifier
from sklearn_vectorflow.preprocessing import HashingEncoder, Numeric

rng = np.random.default_rng(0)
n_rows = 100_000
users, ads = rng.zipf(1.2, n_rows) % 20_000, rng.zipf(1.3, n_rows) % 2_000
device = rng.choice(["laptop", "phone", "tablet"], n_rows, p=[0.3, 0.6, 0.1])
hour = rng.integers(24, size=n_rows)
price = rng.lognormal(3, 1, n_rows)
log_odds = (
    -2.5
    + 0.8 * rng.normal(size=20_000)[users]
    + 0.6 * rng.normal(size=2_000)[ads]
    + np.where(device == "phone", 0.5, 0.0)
    + np.where(hour >= 20, 0.7, 0.0)
    - 0.3 * (np.log(price) - 3)
)
clicked = rng.random(n_rows) < 1 / (1 + np.exp(-log_odds))
ids = {"user": users.astype(str), "ad": ads.astype(str)}
log = pd.DataFrame({**ids, "device": device, "hour": hour, "price": price})
print(f"{log['user'].nunique():,} users, {log['ad'].nunique():,} advertisements")
print(f"{clicked.mean():.1%} of the views have a click")

# %%
# Encoder and model
# -----------------
#
# Users, advertisements and devices are categories. The encoder puts hours into bins, so each part of the day has its
# own weight, and takes the logarithm of prices. We train the model on the first 80,000 views and test it on later
# ones.

encoder = HashingEncoder(
    n_bits=20,
    columns={
        "user": "categorical",
        "ad": "categorical",
        "device": "categorical",
        "hour": Numeric("bins", edges=(6, 12, 20)),
        "price": Numeric("log1p"),
    },
    collect_names=100_000,
)
X = encoder.fit_transform(log)
train, test = slice(0, 80_000), slice(80_000, None)
model = VectorFlowClassifier(n_jobs=2, random_state=0).fit(X[train], clicked[train])
probability = model.predict_proba(X[test])[:, 1]

constant = np.full(probability.size, clicked[train].mean())
true = 1 / (1 + np.exp(-log_odds[test]))
for name, predicted in (("constant", constant), ("model", probability), ("true odds", true)):
    auc = roc_auc_score(clicked[test], predicted)
    print(f"{name:10} log loss {log_loss(clicked[test], predicted):.4f}, area under the ROC curve {auc:.3f}")

# %%
# Which features matter
# ---------------------
#
# ``top_features`` lists the largest weights, with the names that the encoder collected.

print(model.top_features(8, encoder=encoder))

# %%
# Calibration
# -----------
#
# If the model predicts 20 % for some views, do 20 % of them have a click? Each dot is a tenth of the test views.

observed, predicted = calibration_curve(clicked[test], probability, n_bins=10, strategy="quantile")
fig, axes = plt.subplots(figsize=(5.5, 5), layout="constrained")
largest = 1.1 * max(observed.max(), predicted.max())
axes.plot([0, largest], [0, largest], "--", color="0.6", label="perfect")
axes.plot(predicted, observed, "o-", label="model")
axes.set(xlabel="predicted probability of a click", ylabel="share of views with a click", title="Test views")
axes.grid(alpha=0.3)
axes.legend()
plt.show()

# %%
# The dots lie near the diagonal, so you can use the probabilities directly, for instance to compute the expected
# value of a view. The largest weights belong to frequent users and advertisements, since the penalty keeps the
# weights of rare ones small.
