"""Time of an epoch, time of prediction and peak memory."""

import sys
from pathlib import Path

# one generator for all benchmarks; asv imports this folder only
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import workloads

from sklearn_vectorflow import VectorFlowClassifier

ONE_EPOCH = {"max_iter": 1, "tol": None, "random_state": 0}


class OnRows:
    """Benchmarks with the rows of a quick workload, drawn once for all processes."""

    params = [["text", "ctr"]]
    param_names = ["workload"]
    timeout = 300

    def setup_cache(self):
        return {name: workloads.draw(workload, "train") for name, workload in workloads.QUICK.items()}


class Linear(OnRows):
    """A linear model with default parameters."""

    def setup(self, rows, workload):
        self.X, self.y = rows[workload]
        self.model = VectorFlowClassifier(**ONE_EPOCH).fit(self.X, self.y)

    def time_fit(self, rows, workload):
        VectorFlowClassifier(**ONE_EPOCH).fit(self.X, self.y)

    def time_fit_two_threads(self, rows, workload):
        VectorFlowClassifier(n_jobs=2, **ONE_EPOCH).fit(self.X, self.y)

    def time_fit_unpenalised(self, rows, workload):
        VectorFlowClassifier(alpha=0.0, **ONE_EPOCH).fit(self.X, self.y)

    def time_predict_proba(self, rows, workload):
        self.model.predict_proba(self.X)


class Memory(OnRows):
    """Peak memory of a fit, rows included."""

    def peakmem_fit(self, rows, workload):
        VectorFlowClassifier(**ONE_EPOCH).fit(*rows[workload])


class Hidden(OnRows):
    """Nets of hidden units; few features, so that weights fit the memory of small machines."""

    params = [["text"], [(32,), (208,)]]
    param_names = ["workload", "hidden_layer_sizes"]

    def setup(self, rows, workload, hidden_layer_sizes):
        self.X, self.y = rows[workload]
        self.model = VectorFlowClassifier(hidden_layer_sizes, **ONE_EPOCH).fit(self.X, self.y)

    def time_fit(self, rows, workload, hidden_layer_sizes):
        VectorFlowClassifier(hidden_layer_sizes, **ONE_EPOCH).fit(self.X, self.y)

    def time_predict_proba(self, rows, workload, hidden_layer_sizes):
        self.model.predict_proba(self.X)
