"""glum: generalised linear models by L-BFGS."""

import time

import numpy as np

from .base import Model, Point


def path(case, params, train, threads):
    from glum import GeneralizedLinearRegressor

    X, y = train
    options = {"family": "poisson" if case.survival else "binomial", "solver": "lbfgs", "gradient_tol": 1e-9}
    for epochs in (5, 10, 20, 40, 80):
        model = GeneralizedLinearRegressor(l1_ratio=0, max_iter=epochs, **options, **params)
        begun = time.perf_counter()
        if case.survival:
            event, lifetime = (part.astype(X.dtype) for part in y)
            model.fit(X, event / lifetime, sample_weight=lifetime)
        else:
            model.fit(X, y)
        seconds = time.perf_counter() - begun
        yield Point(epochs, seconds, seconds, lambda X: np.log(model.predict(X)) if case.survival else model.predict(X))


# chosen by hand: glum was not tuned
MODELS = [Model("glum", "glum", path, {"text": {"alpha": 1e-6}, "surv1m": {"alpha": 1e-5}})]
