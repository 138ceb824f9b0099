"""
A recommender: factorization machine and top-k
==============================================

People have rated some films as liked or not. Which of the other films should each of them see next? A row is a pair
of a person and a film, one-hot encoded. A linear model can only learn that some films are liked more
than others. A factorization machine also gives each person and each film an embedding, and adds the product of the
two. The ratings are simulated.
"""

# %%
# Ratings
# -------
#
# Each of 1,000 people has rated 60 of 400 films. A like depends on how popular the film is and on whether its kind
# fits the person's taste.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.preprocessing import OneHotEncoder

from sklearn_vectorflow import VectorFlowClassifier
from sklearn_vectorflow.layers import factorization_machine

rng = np.random.default_rng(0)
n_people, n_films, n_rated = 1_000, 400, 60
taste, kind = rng.normal(size=(n_people, 3)), rng.normal(size=(n_films, 3))
log_odds = 0.7 * rng.normal(size=n_films) + 1.2 * taste @ kind.T
likes = rng.random((n_people, n_films)) < 1 / (1 + np.exp(-log_odds))
rated = rng.random((n_people, n_films)).argsort(axis=1) < n_rated
pairs = np.argwhere(rated)
rng.shuffle(pairs)

encoder = OneHotEncoder(categories=[range(n_people), range(n_films)], dtype=np.float32)
X, y = encoder.fit_transform(pairs), likes[pairs[:, 0], pairs[:, 1]]
print(f"{X.shape[0]:,} ratings, {X.shape[1]:,} columns, {y.mean():.0%} are likes")

# %%
# Models
# ------
#
# The strength of the penalty determines how much the embeddings learn. We compare the default with other values on
# held-out ratings, and take the best.

held_out = {"X_val": X[54_000:], "y_val": y[54_000:]}
for alpha in (None, 3e-6, 3e-5, 3e-4):
    machine = VectorFlowClassifier(
        network=factorization_machine(rank=8), alpha=alpha, max_iter=20, tol=None, random_state=0
    )
    machine.fit(X[:54_000], y[:54_000], **held_out)
    print(f"alpha {alpha!s:6} log loss of held-out ratings {-machine.validation_scores_[-1]:.3f}")

models = {
    "linear (popularity)": VectorFlowClassifier(random_state=0),
    "factorization machine": VectorFlowClassifier(
        network=factorization_machine(rank=8), alpha=3e-5, max_iter=20, tol=None, random_state=0
    ),
}
for model in models.values():
    model.fit(X, y)

# %%
# Recommend
# ---------
#
# We score every pair, leave out the films that a person has rated, and take the best ten. No model has seen ``likes``
# for the other films.

every_pair = encoder.transform(np.indices((n_people, n_films)).reshape(2, -1).T)
ranks = np.arange(1, 21)
fig, axes = plt.subplots(figsize=(6.5, 4), layout="constrained")
for name, model in models.items():
    scores = model.decision_function(every_pair).reshape(n_people, n_films)
    scores[rated] = -np.inf
    best = np.argsort(-scores, axis=1)[:, :20]
    liked = np.take_along_axis(likes, best, axis=1)
    print(f"{name:22} first films of person 0: {best[0, :3]}")
    print(f"{name:22} share of the first ten that is liked: {liked[:, :10].mean():.2f}")
    axes.plot(ranks, liked.cumsum(axis=1).mean(axis=0) / ranks, "o-", markersize=4, label=name)
axes.axhline(likes[~rated].mean(), color="0.5", linestyle="--", label="random films")
axes.set(xlabel="length of the list", ylabel="share of the list that is liked", ylim=(0, 1))
axes.set_xticks([1, 5, 10, 15, 20])
axes.grid(alpha=0.3)
axes.legend()
plt.show()

# %%
# The linear model shows everyone the same popular films. The factorization machine has learned the taste of each
# person. From the first place to the twentieth, people like nearly all of its recommendations.
