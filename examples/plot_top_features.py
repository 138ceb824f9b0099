"""
What a hashed model has learned
===============================

Hashing needs no vocabulary, but column numbers have no names. The encoder can collect the names of features, so you
can read the largest weights of a linear model. Before training, it also reports how many features share a column.
"""

# %%
# Rows
# ----
#
# The rows are visits to a shop: where the visitors come from, and what they search for. Two cities, three words and
# the price have an effect on who buys. Thousands of campaigns have none.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sklearn_vectorflow import VectorFlowClassifier
from sklearn_vectorflow.inspection import LossCurveDisplay, TopFeaturesDisplay
from sklearn_vectorflow.preprocessing import HashingEncoder, Numeric, Text, expected_collisions

rng = np.random.default_rng(0)
n_rows = 30_000
words = np.array(["red", "blue", "shoes", "cheap", "gift", "hat", "linen", "small"])
frame = pd.DataFrame(
    {
        "city": rng.choice(["Rome", "Oslo", "Lima", "Bern", "Kyoto"], n_rows),
        "campaign": [f"campaign{k}" for k in rng.zipf(1.3, n_rows) % 5_000],
        "search": [" ".join(some) for some in rng.choice(words, (n_rows, 3))],
        "price": rng.lognormal(3, 0.5, n_rows),
    }
)
odds = 1.0 * (frame["city"] == "Rome") - 1.5 * (frame["city"] == "Oslo") - np.log(frame["price"] / 20)
odds += 1.2 * frame["search"].str.contains("gift") + 0.8 * frame["search"].str.contains("shoes")
odds -= 1.0 * frame["search"].str.contains("cheap")
bought = rng.random(n_rows) < 1 / (1 + np.exp(-odds))

# %%
# Collisions
# ----------
#
# How many columns does the matrix need? A sample of rows tells.

kinds = {"city": "categorical", "campaign": "categorical", "search": Text(), "price": Numeric("standard")}
for n_bits in (10, 14, 18):
    found = HashingEncoder(n_bits, columns=kinds).collisions(frame)
    print(f"2**{n_bits} columns: {found['sharing']} of {found['names']} features share theirs")
print(f"a million features, 2**22 columns: {expected_collisions(1_000_000, 22) / 1e6:.0%} would")

# %%
# Names
# -----

encoder = HashingEncoder(18, columns=kinds, collect_names=100_000, min_count=20)
X = encoder.fit_transform(frame)
later, model = slice(25_000, None), VectorFlowClassifier(random_state=0, max_iter=50)
model.fit(X[:25_000], bought[:25_000], X_val=X[later], y_val=bought[later])
print(model.top_features(8, encoder=encoder))

# %%
# We plot the largest weights, and the loss of each epoch:

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
TopFeaturesDisplay.from_estimator(model, 8, encoder=encoder, ax=left)
LossCurveDisplay.from_estimator(model, ax=right)
plt.show()
