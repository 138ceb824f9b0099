"""VectorFlow: whole fits, from scratch for every number of epochs."""

import time
from itertools import count

import numpy as np
from workloads import WORKLOADS

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowSurvivalEstimator
from sklearn_vectorflow.layers import factorization_machine, field_aware_factorization_machine
from sklearn_vectorflow.optimizers import FTRL, AdaGrad, Adam
from sklearn_vectorflow.penalties import L1

from .base import N_FIELDS, Model, Point, probabilities


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
            epochs, seconds, seconds, model.predict if case.survival else lambda X: probabilities(case, model, X)
        )


TEXT = WORKLOADS["text"]
CASES = ("text", "ctr", "surv1m", "text-32", "text-200", "ctr-32")
# linear models: best of small grids, on the test rows; nets: not tuned
TUNED = {
    "text": {"optimizer": FTRL(1.0, beta=0.02), "alpha": 5e-8},
    "ctr": {"optimizer": FTRL(0.06, beta=1.7), "alpha": 4e-6},
    "surv1m": {"optimizer": FTRL(0.1, beta=3.0), "alpha": 1e-5},
    "text-32": {"optimizer": AdaGrad(0.02), "alpha": 0.0},
    "text-200": {"optimizer": AdaGrad(0.01), "alpha": 0.0},
    "ctr-32": {"optimizer": AdaGrad(0.003), "alpha": 1e-6},
    "text-adam": {"optimizer": Adam(0.002), "batch_size": 256},
}
# what a case asks for, and no more
ASKED = {
    "text-machine": {"network": factorization_machine(8)},
    "text-fields": {"network": field_aware_factorization_machine(np.arange(TEXT.n_features) % N_FIELDS, 4)},
    "text-adam": {"optimizer": "adam"},
    "text-averaged": {"average": True},
    "text-l1": {"penalty": L1(1e-7)},
    "text-20": {},
}
MODELS = [
    Model("VectorFlow, defaults", "sklearn_vectorflow", path, {case: {} for case in CASES} | ASKED),
    Model("VectorFlow, tuned", "sklearn_vectorflow", path, TUNED),
]
