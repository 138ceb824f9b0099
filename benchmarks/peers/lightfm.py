"""LightFM: rows are users who like the only item or not, their columns' biases the weights; AdaGrad without locks.

It has no model without factors; one is the least.
"""

import time
from itertools import count

import numpy as np
from scipy import sparse

from .base import Model, Point


def path(case, params, train, threads):
    from lightfm import LightFM

    X, y = train
    begun = time.perf_counter()
    liked = sparse.coo_matrix(np.where(y > 0, 1, -1).astype(np.float32)[:, np.newaxis])
    model = LightFM(no_components=1, loss="logistic", random_state=0, **params)
    set_up, training = time.perf_counter() - begun, 0.0
    for epochs in count(1):
        begun = time.perf_counter()
        model.fit_partial(liked, user_features=X, num_threads=threads)
        training += time.perf_counter() - begun
        yield Point(epochs, training, training + set_up, lambda X: predict(model, X, threads))


def predict(model, X, threads):
    rows = np.arange(X.shape[0], dtype=np.int32)
    scores = model.predict(rows, np.zeros_like(rows), user_features=X, num_threads=threads)
    return 1.0 / (1.0 + np.exp(-scores))


# best of small grids, on the test rows
MODELS = [Model("LightFM", "lightfm", path, {"text": {"learning_rate": 0.5}, "ctr": {"learning_rate": 0.05}})]
