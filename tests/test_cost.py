"""What training costs follows the non-zeros: weights touched, memory, workers."""

import os
import subprocess
import sys

import numpy as np
import pytest
from scipy import sparse

from sklearn_vectorflow import VectorFlowClassifier
from sklearn_vectorflow.optimizers import FTRL, SGD, AdaGrad, Adam
from sklearn_vectorflow.training import hogwild, trainer

N_ROWS, PER_ROW, NARROW, WIDE = 3000, 20, 10**5, 10**7


@pytest.fixture(scope="module")
def narrow():
    rng = np.random.default_rng(0)
    indices = np.sort(rng.integers(0, NARROW, (N_ROWS, PER_ROW)), axis=1)
    indices += np.arange(PER_ROW)  # no column twice in a row
    indptr = np.arange(0, N_ROWS * PER_ROW + 1, PER_ROW)
    values = rng.uniform(0.5, 2.0, indices.size).astype(np.float32)
    X = sparse.csr_matrix((values, indices.ravel(), indptr), shape=(N_ROWS, NARROW + PER_ROW))
    return X, rng.integers(0, 2, N_ROWS)


def spread(X, n_features):
    """The same rows with their columns far apart."""
    indices = X.indices.astype(np.int64) * (n_features // X.shape[1])
    return sparse.csr_matrix((X.data, indices, X.indptr), shape=(X.shape[0], n_features))


def fit(X, y, **options):
    return VectorFlowClassifier(max_iter=1, tol=None, random_state=0, **options).fit(X, y)


def not_zero(record):
    # as bits: clocks in it are no floats
    return np.flatnonzero(record.view(np.uint32).any(axis=1))


@pytest.fixture
def changed(monkeypatch):
    """Features whose records differ, after an epoch, from the zeros a linear model starts from."""
    features = []

    class Watched(trainer.Trainer):
        def epoch(self):
            loss = super().epoch()
            features.append(not_zero(self.network.parameters[0].record))
            return loss

    monkeypatch.setattr("sklearn_vectorflow.training.data.Trainer", Watched)
    return features


@pytest.mark.parametrize("average", [False, 100])
@pytest.mark.parametrize("alpha", [0.0, 1e-4])
@pytest.mark.parametrize("optimizer", [AdaGrad(), AdaGrad(rowwise=True), Adam(), SGD(), FTRL()], ids=repr)
def test_an_epoch_changes_the_records_of_present_columns_only(narrow, changed, optimizer, alpha, average):
    if average and isinstance(optimizer, FTRL):
        pytest.skip("FTRL has no averages")
    X, y = narrow
    fit(X, y, optimizer=optimizer, alpha=alpha, average=average)
    np.testing.assert_array_equal(changed, [np.unique(X.indices)])


@pytest.mark.parametrize("alpha", [0.0, 1e-4])
def test_width_changes_neither_the_count_nor_the_weights(narrow, changed, alpha):
    X, y = narrow
    wide = spread(X, WIDE)
    model, wide_model = fit(X, y, alpha=alpha), fit(wide, y, alpha=alpha)
    columns, wide_columns = np.unique(X.indices), np.unique(wide.indices)
    np.testing.assert_array_equal(changed[0], columns)
    np.testing.assert_array_equal(changed[1], wide_columns)
    assert len(changed[0]) == len(changed[1])
    np.testing.assert_array_equal(model.coef_[0, columns], wide_model.coef_[0, wide_columns])


@pytest.mark.parametrize("options", [{}, {"alpha": 0.0}, {"l1_ratio": 0.5}, {"average": 100}], ids=repr)
def test_the_end_of_a_fit_leaves_columns_that_never_came_alone(narrow, options):
    # their memory is only reserved as long as nothing is written there
    X, y = narrow
    model = fit(X, y, **options)
    np.testing.assert_array_equal(not_zero(model.network_.parameters[0].record), np.unique(X.indices))


@pytest.mark.parametrize("hidden_layer_sizes", [(), (8,)])
@pytest.mark.parametrize("batch_size", [1, 64])
def test_buffers_are_made_once_a_fit(narrow, monkeypatch, hidden_layer_sizes, batch_size):
    made = []
    worker = hogwild.engine.Worker

    def counted(*arguments):
        made.append(arguments)
        return worker(*arguments)

    monkeypatch.setattr(hogwild.engine, "Worker", counted)
    X, y = narrow
    model = VectorFlowClassifier(hidden_layer_sizes=hidden_layer_sizes, batch_size=batch_size, max_iter=3, tol=None)
    assert model.fit(X, y).n_iter_ == 3
    assert len(made) == 1


MEASURE = """
import gc
import sys
import numpy as np
from scipy import sparse
from sklearn_vectorflow import VectorFlowClassifier

def kilobytes(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name))

def start_peak_anew():
    gc.collect()
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")

def rows(n_rows, n_features, per_row):
    # distinct in a row, and in order, since each comes from its own band of columns
    band = n_features // per_row
    draws = np.random.default_rng(0).integers(0, band, (n_rows, per_row), dtype=np.int32)
    draws += np.arange(per_row, dtype=np.int32) * band
    indptr = np.arange(0, n_rows * per_row + 1, per_row, dtype=np.int32)
    ones = np.ones(n_rows * per_row, np.float32)
    return sparse.csr_matrix((ones, draws.ravel(), indptr), shape=(n_rows, n_features))

def size(X):
    return X.data.nbytes + X.indices.nbytes + X.indptr.nbytes

# what libraries take the first time is no part of the cost
tiny = rows(200, 1000, 34)
VectorFlowClassifier(max_iter=1, tol=None).fit(tiny, np.arange(200) % 2)
before = kilobytes("VmRSS")
X = rows(200_000, 5_000_000, 34)
y = (np.random.default_rng(1).random(200_000) < 0.27).astype(np.float32)
start_peak_anew()
options = dict(max_iter=2, tol=None, random_state=0)
model = VectorFlowClassifier(**options).fit(X, y)
peak = kilobytes("VmHWM")
touched = np.mean(model.coef_ != 0)
print((peak - before) * 1024, size(X) + y.nbytes, X.shape[1], touched)
"""


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="needs to reset the peak of memory")
def test_peak_memory_is_that_of_the_data_and_twelve_bytes_a_feature():
    process = subprocess.run([sys.executable, "-P", "-c", MEASURE], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    peak, data, n_features, touched = map(float, process.stdout.split())
    bound = data + 12 * n_features
    print(f"peak {peak / 1e6:.0f} MB, data + 12 bytes x features {bound / 1e6:.0f} MB")
    assert touched > 0.5  # else memory of features that never came would hide what others take
    assert data < peak <= 1.25 * bound
