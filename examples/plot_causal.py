"""
Effects of a treatment: weights and doubly robust regression
============================================================

In these data the treatment is not random: patients who would do better anyway are treated more often, so the
difference of the means is a biased estimate of the effect. A classifier estimates the probability of treatment. Its
inverse is a weight that balances the groups (inverse-propensity weighting). Together with regressions of the outcome
it gives a *doubly robust* estimate, which is consistent if either the classifier or the regressions are correct. The
data are simulated, so we know the true effect.
"""

# %%
# Simulated patients
# ------------------
#
# Patients have forty sparse features. The effect is 2 on average, and differs between patients.

import matplotlib.pyplot as plt
import numpy as np
from scipy import sparse
from scipy.special import expit
from sklearn.model_selection import KFold

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor


def simulate(n_rows, seed):
    rng = np.random.default_rng(seed)
    X = sparse.random_array((n_rows, 40), density=0.2, rng=rng, format="csr", data_sampler=rng.standard_normal)
    base = X[:, :10].sum(axis=1)
    effect = 2.0 + X[:, 5:12].sum(axis=1)
    treated = rng.uniform(size=n_rows) < expit(0.8 * base)
    return X, treated, base + treated * effect + rng.normal(size=n_rows), effect


# %%
# Three estimates
# ---------------
#
# Cross-fitting: we fit the models on four fifths of the rows and predict the remaining fifth, for each fifth in turn.
# So no model predicts a row that it was trained on.

SETTINGS = {"max_iter": 15, "average": True, "random_state": 0}


def pseudo_outcomes(X, treated, y):
    """Return the chance to be treated and the doubly robust effect of every row."""
    chance, effect = np.empty(len(y)), np.empty(len(y))
    for fit, use in KFold(5, shuffle=True, random_state=0).split(y):
        propensity = VectorFlowClassifier(**SETTINGS).fit(X[fit], treated[fit])
        chance[use] = propensity.predict_proba(X[use])[:, 1].clip(0.02, 0.98)
        with_, without = (
            VectorFlowRegressor(**SETTINGS).fit(X[rows], y[rows]).predict(X[use])
            for rows in (fit[treated[fit]], fit[~treated[fit]])
        )
        residual = np.where(treated[use], (y[use] - with_) / chance[use], -(y[use] - without) / (1 - chance[use]))
        effect[use] = with_ - without + residual
    return chance, effect


estimates = {"difference of means": [], "inverse propensity": [], "doubly robust": []}
for seed in range(6):
    X, treated, y, effect = simulate(1500, seed)
    chance, robust = pseudo_outcomes(X, treated, y)
    weighted = np.average(y, weights=treated / chance) - np.average(y, weights=~treated / (1 - chance))
    errors = np.array([y[treated].mean() - y[~treated].mean(), weighted, robust.mean()]) - effect.mean()
    for name, error in zip(estimates, errors):
        estimates[name].append(error)

for name, errors in estimates.items():
    print(f"{name:20s} mean error {np.mean(errors):+.3f}, typical size {np.sqrt(np.mean(np.square(errors))):.3f}")

# %%
# Whom to treat
# -------------
#
# The doubly robust estimate for a single row is noisy. A regression of these estimates on the features predicts the
# expected effect (the DR-learner). Treating the patients with the largest expected effect first gains more than
# treating patients at random.

X, treated, y, effect = simulate(6000, seed=100)
_, robust = pseudo_outcomes(X[:4000], treated[:4000], y[:4000])
expected = VectorFlowRegressor(**SETTINGS).fit(X[:4000], robust).predict(X[4000:])
order = np.argsort(-expected)
gain = np.cumsum(effect[4000:][order]) / len(order)
print(f"correlation of expected and true effects: {np.corrcoef(expected, effect[4000:])[0, 1]:.2f}")

share = np.arange(1, len(order) + 1) / len(order)
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
left.boxplot(list(estimates.values()), orientation="horizontal", tick_labels=list(estimates))
left.axvline(0.0, color="black", linestyle=":")
left.set(xlabel="error of the average effect", title="Six samples")
right.plot(share, gain, label="largest expected effect first")
right.plot(share, share * effect[4000:].mean(), color="0.5", linestyle="--", label="at random")
right.set(xlabel="share treated", ylabel="gain per patient", title="Uplift on new patients")
right.legend()
plt.show()
