"""
Hidden units, learning curves and early stopping
================================================

Each row is an event with a user, an item and a few random tags, one-hot encoded: 5 of 1,200 columns are non-zero.
Whether a user likes an item depends on the *pair*, which a linear model cannot represent. A net with hidden units
can, but with enough epochs it also memorises the noise.

``early_stopping`` holds out rows and evaluates the loss on them after every epoch. It stops when this loss no longer
falls, and keeps the weights of the best epoch.
"""

# %%
# Data
# ----

import matplotlib.pyplot as plt
import numpy as np
from scipy.sparse import csr_array
from sklearn.model_selection import train_test_split

from sklearn_vectorflow import VectorFlowClassifier

n_rows, n_users, n_items, n_tags, tags_per_row = 40_000, 100, 100, 1000, 3
rng = np.random.default_rng(0)
user = rng.integers(n_users, size=n_rows)
item = rng.integers(n_items, size=n_rows)
tags = rng.integers(n_tags, size=(n_rows, tags_per_row))
columns = np.column_stack([user, n_users + item, n_users + n_items + tags])
X = csr_array(
    (np.ones(columns.size, np.float32), columns.ravel(), np.arange(n_rows + 1) * columns.shape[1]),
    shape=(n_rows, n_users + n_items + n_tags),
)
taste = rng.standard_normal((n_users, 2))
style = rng.standard_normal((n_items, 2))
affinity = 2.0 * np.sum(taste[user] * style[item], axis=1)
y = rng.random(n_rows) < 1 / (1 + np.exp(-affinity))
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

# %%
# A linear model and a net
# ------------------------
#
# ``fit`` holds out a tenth of the training rows, unless you pass ``X_val`` and ``y_val``. We set ``n_iter_no_change``
# to a large number, so that training continues for the plot.

shared = {"max_iter": 30, "early_stopping": True, "n_iter_no_change": 30, "random_state": 0}
linear = VectorFlowClassifier(**shared)
net = VectorFlowClassifier(hidden_layer_sizes=(32,), **shared)
for model in (linear, net):
    model.fit(X_train, y_train)

fig, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
for model, name, color in ((linear, "linear", "tab:orange"), (net, "32 hidden units", "tab:blue")):
    epochs = np.arange(1, len(model.loss_curve_) + 1)
    best = np.argmax(model.validation_scores_)
    axes[0].plot(epochs, model.loss_curve_, color=color, label=name)
    axes[1].plot(epochs, -np.array(model.validation_scores_), color=color, label=name)
    axes[1].plot(epochs[best], -model.validation_scores_[best], "o", color=color)
axes[0].set(xlabel="epoch", ylabel="log loss", title="Training rows")
axes[1].set(xlabel="epoch", ylabel="log loss", title="Held-out rows, best epoch marked")
for ax in axes:
    ax.grid(alpha=0.3)
    ax.legend()
plt.show()

# %%
# Test rows
# ---------
#
# The model has the weights of the best epoch, not of the last one.

for model, name in ((linear, "linear"), (net, "32 hidden units")):
    best = np.argmax(model.validation_scores_) + 1
    print(f"{name:16} best epoch {best:2d}, accuracy {model.score(X_test, y_test):.3f}")
