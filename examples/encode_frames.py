"""
From a data frame to a model
============================

An encoder hashes columns of several kinds into one sparse matrix, and a linear model learns from it. The encoder also
collects the names of features, so you can read the largest weights.
"""

# %%
# A frame of categories, lists, texts and numbers
# -----------------------------------------------

import numpy as np
import pandas as pd

from sklearn_vectorflow import VectorFlowClassifier
from sklearn_vectorflow.preprocessing import HashingEncoder, Numeric, Text

rng = np.random.default_rng(0)
n_rows = 5_000
words = np.array(["quiet", "central", "garden", "noisy", "renovated", "dark"])
frame = pd.DataFrame(
    {
        "city": rng.choice(["Lima", "Oslo", "Rome"], n_rows),
        "extras": [
            list(rng.choice(["balcony", "garage", "lift"], k, replace=False)) for k in rng.integers(0, 4, n_rows)
        ],
        "title": [" ".join(rng.choice(words, 3)) for _ in range(n_rows)],
        "price": rng.lognormal(5, 1, n_rows),
    }
)
title = frame["title"].str
log_odds = 2.0 * (frame["city"] == "Oslo") + title.contains("garden") - title.contains("noisy")
rented = rng.random(n_rows) < 1 / (1 + np.exp(-(log_odds - 0.5 * (np.log(frame["price"]) - 5))))

# %%
# Encoder and model
# -----------------

encoder = HashingEncoder(
    n_bits=18,
    columns={"city": "categorical", "extras": "tokens", "title": Text((1, 2)), "price": Numeric("log1p")},
    collect_names=10_000,
)
X = encoder.fit_transform(frame)
model = VectorFlowClassifier(random_state=0).fit(X[:4000], rented[:4000])
print(f"{X.nnz / n_rows:.1f} non-zeros a row, accuracy {model.score(X[4000:], rented[4000:]):.3f}")

# %%
# What the largest weights mean
# -----------------------------

weights = np.ravel(model.coef_) * np.asarray(abs(X).sum(axis=0)).ravel() / n_rows
largest = np.argsort(-abs(weights))[:8]
for index, names in zip(largest, encoder.feature_names_from(largest)):
    print(f"{np.ravel(model.coef_)[index]:8.3f}  {' or '.join(names)}")
