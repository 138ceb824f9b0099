"""Records of layers that read the same columns lie side by side, which changes where numbers are and no number."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from sklearn_vectorflow import VectorFlowClassifier
from sklearn_vectorflow.layers import (
    Add,
    Concat,
    FactorizationMachine,
    Input,
    Linear,
    factorization_machine,
    field_aware_factorization_machine,
    wide_and_deep,
)
from sklearn_vectorflow.network import network
from sklearn_vectorflow.network.memory import LINE
from sklearn_vectorflow.optimizers import AdaGrad
from sklearn_vectorflow.penalties import L2
from sklearn_vectorflow.training import trainer
from sklearn_vectorflow.training.plan import Plan

N_ROWS, N_FEATURES = 200, 120


def _heads():
    some = Input(slice(10, 90))
    return Concat()([Linear(1)(some), Add()([Linear(2)(some), FactorizationMachine(2, 2)(some)])])


NETWORKS = {
    "machine": lambda: factorization_machine(8),
    "odd machine": lambda: factorization_machine(7),
    "machine with fields": lambda: field_aware_factorization_machine(np.arange(N_FEATURES) % 4, 3),
    "wide and deep": lambda: wide_and_deep((16,)),
    "heads of some columns": _heads,
}
OPTIONS = {
    "adagrad": {"optimizer": "adagrad"},
    "adam": {"optimizer": "adam", "alpha": 1e-3, "learning_rate": 0.01},
    "ftrl": {"optimizer": "ftrl"},
    "ftrl without penalty": {"optimizer": "ftrl", "penalty": None},
    "averaged sgd": {"optimizer": "sgd", "average": True, "learning_rate": 0.05},
    "batches": {"optimizer": "adagrad", "batch_size": 16},
}


# Kernels that read both layers' records in one go need them side by side, and sum in single precision.
HAVE_KERNELS = {("machine", "adagrad"), ("wide and deep", "adagrad"), ("wide and deep", "adam")}


class WithoutKernels:
    """Plans as if rows had a column twice, which kernels of nets do not serve."""

    @staticmethod
    def of(*given):
        return replace(Plan.of(*given), canonical=False)


def _data(n_classes):
    X = sparse.random_array((N_ROWS, N_FEATURES), density=0.08, format="csr", dtype=np.float32, rng=0)
    return X, np.arange(N_ROWS) % n_classes


def _model(name, **options):
    return VectorFlowClassifier(network=NETWORKS[name](), max_iter=3, tol=None, random_state=0, n_jobs=1, **options)


def _rows_of(model):
    """The records of the layers that read rows."""
    return [one.record for one in model.network_.parameters_of_rows]


def _addresses(records):
    return np.array([record.ctypes.data for record in records])


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", NETWORKS)
def test_the_same_bits_as_apart(name, options, monkeypatch):
    X, y = _data(3 if name.startswith("heads") else 2)
    if (name, options) in HAVE_KERNELS:
        monkeypatch.setattr(trainer, "Plan", WithoutKernels)
    beside = _model(name, **OPTIONS[options]).fit(X, y)
    monkeypatch.setattr(network, "side_by_side", lambda parameters: parameters)
    apart = _model(name, **OPTIONS[options]).fit(X, y)
    assert len({record.strides for record in _rows_of(beside)}) == 1
    assert len({record.strides for record in _rows_of(apart)}) > 1 or _rows_of(apart)[0].flags.c_contiguous
    np.testing.assert_array_equal(beside.decision_function(X), apart.decision_function(X))
    for ours, theirs in zip(beside.coefs_ + beside.intercepts_, apart.coefs_ + apart.intercepts_):
        np.testing.assert_array_equal(ours, theirs)


def _lines_of(size, stride):
    """In how many cache lines records of some numbers lie on average, one of them after the other."""
    return np.mean([len({(k * stride + i) // LINE for i in range(size)}) for k in range(LINE)])


@pytest.mark.parametrize("name", NETWORKS)
def test_a_column_owns_few_cache_lines(name):
    X, y = _data(3 if name.startswith("heads") else 2)
    records = _rows_of(_model(name).fit(X, y))
    ends = [record.shape[1] for record in records]
    np.testing.assert_array_equal(np.diff(_addresses(records)) // 4, ends[:-1])
    assert records[0].ctypes.data % (4 * LINE) == 0
    stride = records[0].strides[0] // 4
    assert sum(ends) <= stride <= max(4 / 3 * sum(ends), 1)
    assert _lines_of(sum(ends), stride) == min(
        _lines_of(sum(ends), k) for k in range(sum(ends), 4 * sum(ends) // 3 + 1)
    )
    assert not (stride <= LINE and LINE % stride and 3 * LINE <= 4 * stride), "it could be a line's share"


@pytest.mark.parametrize(
    "optimizer, n_classes, stride",
    [("adam", 2, 8), ("ftrl", 20, 40), (AdaGrad(rowwise=False), 8, 17)],
)
def test_records_of_half_lines_do_not_straddle_more_than_they_must(optimizer, n_classes, stride):
    X, y = _data(2)[0], np.arange(N_ROWS) % n_classes
    X.resize(N_ROWS, 100_000)  # a size that systems give a place of its own, sixteen bytes behind the start of a page
    model = VectorFlowClassifier(optimizer=optimizer, penalty=L2(1e-3), solver="sgd", max_iter=1, tol=None)
    record = model.fit(X, y).network_.parameters_of_rows[0].record
    assert record.shape[1] == stride
    assert record.flags.c_contiguous
    assert stride % (LINE // 2) or record.ctypes.data % (4 * LINE) == 0


@pytest.mark.parametrize("again", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
@pytest.mark.parametrize("name", NETWORKS)
def test_copies_go_on_alike_and_side_by_side(name, again):
    X, y = _data(3 if name.startswith("heads") else 2)
    model = _model(name, optimizer="adagrad", alpha=1e-3, learning_rate=0.1, warm_start=True).fit(X, y)
    other = again(model)
    assert not np.intersect1d(_addresses(_rows_of(model)), _addresses(_rows_of(other))).size
    model.fit(X, y)
    other.fit(X, y)
    assert len({record.strides for record in _rows_of(other)}) == 1
    np.testing.assert_array_equal(model.decision_function(X), other.decision_function(X))
