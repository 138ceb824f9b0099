"""
Learning curves: what good and bad ones look like
=================================================

A learning curve shows the loss on training rows and on validation rows after each epoch. Its shape tells which
parameter to change. The texts are simulated, and the model is linear.
"""

# %%
# Texts
# -----
#
# Each text has 15 words. A few words are frequent, and most are rare.

import matplotlib.pyplot as plt
import numpy as np
from scipy import sparse

from sklearn_vectorflow import VectorFlowClassifier

rng = np.random.default_rng(0)
words = rng.zipf(1.2, size=(12_000, 15)) % 20_000
starts = np.arange(0, words.size + 1, 15)
X = sparse.csr_array((np.ones(words.size, np.float32), words.ravel(), starts), shape=(12_000, 20_000))
log_odds = 0.4 * rng.normal(size=20_000)[words].sum(axis=1)
y = rng.random(12_000) < 1 / (1 + np.exp(-log_odds))
X_train, X_val, y_train, y_val = X[:8_000], X[8_000:], y[:8_000], y[8_000:]

# %%
# Four models
# -----------
#
# ``tol=None`` trains for all 20 epochs, so the curves have the same length.

models = {
    "defaults": {},
    "no penalty": {"alpha": 0.0},
    "penalty too strong": {"alpha": 0.03},
    "learning rate too low": {"learning_rate": 0.002},
}
fig, axes = plt.subplots(2, 2, figsize=(8, 6), sharex=True, sharey=True, layout="constrained")
for (name, parameters), ax in zip(models.items(), axes.flat):
    model = VectorFlowClassifier(**parameters, tol=None, random_state=0)
    model.fit(X_train, y_train, X_val=X_val, y_val=y_val)
    validation = -np.array(model.validation_scores_)
    epochs = np.arange(1, 21)
    ax.plot(epochs, model.loss_curve_, "--", label="training rows")
    ax.plot(epochs, validation, label="validation rows")
    ax.set(title=name, xticks=[1, 5, 10, 15, 20])
    ax.grid(alpha=0.3)
    print(f"{name:22} validation loss: lowest {validation.min():.3f}, last {validation[-1]:.3f}")
axes[0, 0].legend()
fig.supxlabel("epoch")
fig.supylabel("log loss")
plt.show()

# %%
# - **Defaults:** the validation loss is low and flat.
# - **No penalty:** the training loss keeps falling while the validation loss rises. The model learns noise.
# - **Penalty too strong:** both curves are flat and high.
# - **Learning rate too low:** both curves still fall at the end.
