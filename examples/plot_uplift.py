"""
Uplift of a campaign: one net with two heads
============================================

Half of the customers, chosen at random, got an e-mail, and one in six customers visited the shop. Who should get the
next e-mail? Those whom it *causes* to visit, not those who visit anyway. One way is to train one model on the
customers with the e-mail and one on the others, and to subtract their predictions. The difference contains the noise
of both models, so the effects look larger than they are.

Here one net with a head for each group learns from all rows. Each row trains the head of its own group, and a penalty
(``price``) on the difference of the heads keeps effects small unless the data show them. Such a loss needs the
outputs of several nodes of the net, which it names in ``reads``. The campaign is simulated, so we know the true
effects.
"""

# %%
# A campaign
# ----------
#
# The data have five categorical columns, like those of a mail-order shop.

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import expit
from sklearn.preprocessing import OneHotEncoder

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor
from sklearn_vectorflow.layers import Input, Linear
from sklearn_vectorflow.losses import RegressionLoss, check_loss

rng = np.random.default_rng(0)
n_rows = 14_000
levels = {"recency": 12, "history": 7, "area": 60, "channel": 3, "newest purchase": 40}
customers = np.column_stack([rng.integers(0, size, n_rows) for size in levels.values()])
taste, response = ([rng.normal(scale=s, size=size) for size in levels.values()] for s in (0.4, 0.15))
usual = -2.3 + sum(effects[column] for effects, column in zip(taste, customers.T))
pushed = usual + 0.4 + sum(effects[column] for effects, column in zip(response, customers.T))
uplift = expit(pushed) - expit(usual)

treated = rng.integers(0, 2, n_rows)
visited = rng.uniform(size=n_rows) < expit(np.where(treated, pushed, usual))
X = OneHotEncoder(dtype=np.float32).fit_transform(customers)
train, test = slice(0, 6_000), slice(6_000, None)
print(f"visits: {visited[treated == 1].mean():.1%} with the e-mail, {visited[treated == 0].mean():.1%} without")

# %%
# A loss with two heads
# ---------------------
#
# ``nodes`` holds the outputs of the nodes named in ``reads``. The third return value is the gradient with respect to
# these outputs. The raw outputs are the same two heads side by side, so they need no gradient of their own.


class TwoArms(RegressionLoss):
    """Log loss of the head of a row's arm, and a price on the difference of the heads; y is (visited, treated)."""

    reads = ("without", "with")

    def __init__(self, price=0.0):
        self.price = price

    def __call__(self, y, raw, sample_weight=None, nodes=None):
        visited, treated = y[:, :1], y[:, 1:]
        without, with_ = nodes["without"], nodes["with"]
        own, effect, weight = np.where(treated, with_, without), with_ - without, sample_weight[:, None]
        loss = np.logaddexp(0.0, own) - visited * own + 0.5 * self.price * effect**2
        slope, pull = weight * (expit(own) - visited), weight * self.price * effect
        return np.sum(weight * loss), None, {"without": (1 - treated) * slope - pull, "with": treated * slope + pull}

    def initial_raw(self, y, sample_weight):
        return np.full(2, np.log(np.mean(y[:, 0]) / np.mean(1 - y[:, 0])))

    def inverse_link(self, raw):
        return expit(raw)


check_loss(TwoArms(0.1), np.column_stack([np.arange(20) % 2, np.arange(20) % 3 > 0]), nodes={"without": 1, "with": 1})


SETTINGS = {"batch_size": 64, "alpha": 1e-3, "max_iter": 12, "average": True, "random_state": 0}


def one_net(price):
    """Return a net of two arms."""
    x = Input()
    heads = [Linear(1, name="without")(x), Linear(1, name="with")(x)]
    return VectorFlowRegressor(network=heads, loss=TwoArms(price), **SETTINGS)


# %%
# Three models
# ------------

targets = np.column_stack([visited, treated])
predicted = {}
for price in (0.0, 0.03):
    model = one_net(price).fit(X[train], targets[train])
    chances = model.predict(X[test])
    predicted[f"one net, price {price}"] = chances[:, 1] - chances[:, 0]

arms = []
for arm in (1, 0):
    rows = np.flatnonzero(treated[train] == arm)
    arms.append(VectorFlowClassifier(**SETTINGS).fit(X[rows], visited[rows]).predict_proba(X[test])[:, 1])
predicted["two models"] = arms[0] - arms[1]

for name, effect in predicted.items():
    error = np.sqrt(np.mean((effect - uplift[test]) ** 2))
    print(f"{name:20s} error of the uplift {error:.4f}, correlation {np.corrcoef(effect, uplift[test])[0, 1]:.2f}")
print(f"{'the mean uplift':20s} error of the uplift {uplift[test].std():.4f}")

# %%
# Visits gained
# -------------
#
# We send e-mails to customers in the order of their predicted uplift. This order is similar for all three models. The
# penalty gives the uplift itself the right size, so you can tell whether an e-mail is worth its cost.

share = np.arange(1, len(uplift[test]) + 1) / len(uplift[test])
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for name, effect in {"true uplift": uplift[test], **predicted}.items():
    left.plot(share, np.cumsum(uplift[test][np.argsort(-effect)]), label=name)
left.plot(share, share * uplift[test].sum(), color="0.5", linestyle="--", label="at random")
left.set(xlabel="share of customers mailed", ylabel="visits gained", title="Uplift curves of new customers")
left.legend()
for name in ("two models", "one net, price 0.03"):
    right.scatter(uplift[test][::4], predicted[name][::4], s=3, alpha=0.4, label=name)
right.axline((0.0, 0.0), slope=1.0, color="black", linestyle=":")
right.set(xlabel="true uplift", ylabel="predicted uplift")
right.legend(markerscale=4)
plt.show()
