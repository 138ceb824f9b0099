"""Field-aware factorization machines: against the dense reference, pair by pair, and what users give them."""

import copy
import os
import pickle

import numpy as np
import pandas as pd
import pytest
from machines import N_EPOCHS, N_FEATURES, N_ROWS, OPTIMIZERS, PENALTIES, rows_and_classes
from scipy import sparse
from sklearn.base import clone
from sklearn.metrics import log_loss

import sklearn_vectorflow
from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor
from sklearn_vectorflow.engine.net import plan as engine
from sklearn_vectorflow.layers import (
    Add,
    Concat,
    FactorizationMachine,
    FieldAwareFactorizationMachine,
    Input,
    Linear,
    ReLU,
    factorization_machine,
    field_aware_factorization_machine,
)
from sklearn_vectorflow.network import portable
from sklearn_vectorflow.onnx import to_onnx
from sklearn_vectorflow.optimizers import SGD
from sklearn_vectorflow.penalties import L2
from sklearn_vectorflow.preprocessing import HashingEncoder

import reference

FIELDS = {
    "side by side": [0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2],
    "mixed": [2, 0, 1, 2, 4, 0, 1, 2, 4, 0, 1, 2, 5, 3],  # the last feature never comes
    "one": [0] * N_FEATURES,
    "each its own": list(range(N_FEATURES)),
    "mostly absent": [20, 3, 20, 11, 3, 3, 11, 20, 20, 7, 3, 3, 11, 7],
}


def _factors(fields, rank, n_outputs=1):
    shape = N_FEATURES, n_outputs * (max(fields) + 1) * rank
    return np.random.default_rng(rank).normal(scale=0.3, size=shape).astype(np.float32)


def _network(fields, rank, n_outputs=1):
    x = Input()
    machine = FieldAwareFactorizationMachine(fields, rank, init=_factors(fields, rank, n_outputs))
    return Add()([Linear(init="zeros")(x), machine(x)])


def _fit_both(fields, rank, optimizer, penalty, batch_size=1, n_classes=2, loss=reference.log_loss, average=False):
    X, y = rows_and_classes(n_classes)
    fields = FIELDS[fields]
    (own_optimizer, make_optimizer), (own_penalty, strengths) = OPTIMIZERS[optimizer], PENALTIES[penalty]
    model = VectorFlowClassifier(
        network=_network(fields, rank, 1 if n_classes == 2 else n_classes),
        optimizer=own_optimizer,
        penalty=own_penalty,
        batch_size=batch_size,
        average=average,
        max_iter=N_EPOCHS,
        tol=None,
        shuffle=False,
        n_jobs=1,
        random_state=0,
    )
    still = clone(model).set_params(optimizer=SGD(1e-100), max_iter=1, average=False).fit(X, y)
    model.fit(sparse.csr_array(X), y)
    expected = reference.train_machine(
        *still.coefs_,
        still.intercepts_[0],
        X.astype(float),
        y[:, None],
        loss,
        make_optimizer,
        [reference.Penalty(**strengths)] * 2,
        batch_size=batch_size,
        n_epochs=N_EPOCHS,
        average_from=average // batch_size if average else None,
        kind=reference.field_machine(fields),
    )
    assert np.abs(still.coefs_[1] - expected[1]).max() > 1e-3, "a test of training in which nothing moves shows nothing"
    return (*model.coefs_, model.intercepts_[0][None, :]), expected


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("rank", [1, 3, 4, 8, 19])
@pytest.mark.parametrize("fields", FIELDS)
def test_a_row_a_step(fields, rank, optimizer, penalty):
    reference.assert_close(*_fit_both(fields, rank, optimizer, penalty), 2e-5)


@pytest.mark.parametrize("penalty", ["none", "l2", "elastic_each"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("rank", [3, 4])
@pytest.mark.parametrize("fields", ["mixed", "mostly absent"])
def test_batches(fields, rank, optimizer, penalty):
    reference.assert_close(*_fit_both(fields, rank, optimizer, penalty, batch_size=7), 2e-5)


@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("rank", [3, 4])
@pytest.mark.parametrize("fields", ["mixed", "mostly absent"])
def test_several_outputs_have_embeddings_of_their_own(fields, rank, optimizer, batch_size):
    reference.assert_close(*_fit_both(fields, rank, optimizer, "l2", batch_size, 3, reference.multinomial), 2e-5)


@pytest.mark.parametrize("penalty", ["none", "l2", "l1"])
@pytest.mark.parametrize("optimizer", ["adagrad", "adagrad_rowwise", "adam", "adam_rowwise", "sgd"])
def test_means(optimizer, penalty, monkeypatch):
    # under a falling rate, those of features that never come are only nearly exact
    monkeypatch.setitem(OPTIMIZERS, "sgd", (SGD(0.1, schedule="constant"), lambda _: reference.SGD(0.1)))
    reference.assert_close(*_fit_both("mixed", 5, optimizer, penalty, average=N_ROWS), 2e-5)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("rank", [1, 4])
def test_pairs_of_hidden_units(rank, optimizer):
    """Where factors read what other layers give."""
    X, y = rows_and_classes()
    fields = [1, 0, 2, 1, 1]
    hidden = ReLU()(Linear(5, init=0.5, frozen=True)(Input()))
    network = Add()([Linear()(hidden), FieldAwareFactorizationMachine(fields, rank, init=0.3)(hidden)])
    options = dict(network=network, penalty=L2(0.01), batch_size=1, tol=None, shuffle=False, n_jobs=1, random_state=0)
    model = VectorFlowClassifier(optimizer=OPTIMIZERS[optimizer][0], max_iter=2, **options).fit(X, y)
    still = VectorFlowClassifier(optimizer=SGD(1e-100), max_iter=1, **options).fit(X, y)
    W, b = (a[0] for a in (still.coefs_, still.intercepts_))
    expected = reference.train_machine(
        *still.coefs_[1:],
        still.intercepts_[1],
        np.maximum(X @ W + b, 0.0).astype(float),
        y[:, None],
        reference.log_loss,
        OPTIMIZERS[optimizer][1],
        [reference.Penalty(l2=0.01)] * 2,
        n_epochs=2,
        kind=reference.field_machine(fields),
    )
    reference.assert_close((*model.coefs_[1:], model.intercepts_[1][None, :]), expected, 1e-4)


@pytest.mark.parametrize("batch_size", [1, 2])
@pytest.mark.parametrize("rank", [3, 4])
@pytest.mark.parametrize("beside_rows", [False, True])
def test_units_that_are_zero_have_gradients(beside_rows, rank, batch_size):
    """Those of their fields that a row does not have: intercepts move, though most units begin as zeros."""
    rng = np.random.default_rng(0)
    n, n_rows, rate, fields = 12, 4, 1e-3, np.arange(12) // 2
    X = np.repeat(rng.normal(size=(1, n_rows)).astype(np.float32), batch_size, axis=0)
    W = np.zeros((n_rows, n), np.float32)
    W[:, :2] = rng.normal(size=(n_rows, 2))
    read = Linear(n, init=W)(Input())
    if beside_rows:
        read, fields = Concat()([Input(), read]), np.concatenate([[0] * n_rows, fields])
    factors = rng.normal(size=(len(fields), 6 * rank)).astype(np.float32)
    model = VectorFlowRegressor(
        network=FieldAwareFactorizationMachine(fields, rank, init=factors)(read), batch_size=batch_size,
        optimizer=SGD(rate, schedule="constant"), alpha=0.0, max_iter=1, tol=None, n_jobs=1, solver="sgd",
    ).fit(X, np.full(batch_size, 3.0))  # fmt: skip
    units = np.concatenate([X[0] if beside_rows else [], X[0] @ W])
    of_pairs = factors.reshape(len(fields), 6, rank)[:, fields]  # (n_in, n_in, rank)
    products = np.einsum("ijk,jik->ij", of_pairs, of_pairs)
    np.fill_diagonal(products, 0.0)
    gradient = (units @ products @ units / 2 - 3.0) * (products @ units)
    np.testing.assert_allclose(model.intercepts_[0], -rate * gradient[-n:], rtol=1e-4)


# ---- special cases ---------------------------------------------------------------------------


def _fitted(network, X=None, y=None, **options):
    X, y = rows_and_classes() if X is None else (X, y)
    options = {"max_iter": 3, "tol": None, "random_state": 0, "n_jobs": 1, **options}
    return VectorFlowClassifier(network=network, **options).fit(X, y)


def test_one_field_is_a_factorization_machine():
    X, y = rows_and_classes()
    init = np.random.default_rng(0).normal(scale=0.3, size=(N_FEATURES, 4)).astype(np.float32)
    plain = _fitted(FactorizationMachine(4, init=init)(Input()))
    fields = _fitted(FieldAwareFactorizationMachine([0] * N_FEATURES, 4, init=init)(Input()))
    np.testing.assert_allclose(fields.predict_proba(X), plain.predict_proba(X), rtol=1e-4)


def _same(one, other, X):
    for mine, theirs in zip(one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_):
        np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))


def test_all_ways_to_give_fields_are_one():
    X, y = rows_and_classes()
    frame = pd.DataFrame(X, columns=[f"c{k}" for k in range(N_FEATURES)])
    named = {
        "a": [f"c{k}" for k in range(5)],
        "b": [f"c{k}" for k in range(5, 9)],
        "c": [f"c{k}" for k in range(9, 14)],
    }
    first = _fitted(field_aware_factorization_machine([0] * 5 + [1] * 4 + [2] * 5))
    for fields in (
        np.repeat([0, 1, 2], [5, 4, 5]).astype(np.uint8),
        {"a": slice(0, 5), "b": slice(5, 9), "c": slice(9, None)},
        {"a": range(5), "b": [8, 7, 6, 5], "c": np.arange(9, 14)},
    ):
        _same(first, _fitted(field_aware_factorization_machine(fields)), X)
    of_names = _fitted(field_aware_factorization_machine(named), frame, y)
    np.testing.assert_array_equal(of_names.predict_proba(frame), first.predict_proba(X))
    parts = Concat()([Input(slice(0, 5)), Input(slice(5, 9)), Input(slice(9, 14))])
    of_parts = _fitted(field_aware_factorization_machine(None, inputs=parts))
    np.testing.assert_allclose(of_parts.predict_proba(X), first.predict_proba(X), rtol=1e-6)


def test_columns_of_an_input_may_have_names():
    X, y = rows_and_classes()
    frame = pd.DataFrame(X, columns=[f"c{k}" for k in range(N_FEATURES)])
    some = Input(["c7", "c1", "c4"])
    named = _fitted(FieldAwareFactorizationMachine({"a": ["c1"], "b": ["c7", "c4"]})(some), frame, y)
    numbers = _fitted(FieldAwareFactorizationMachine([1, 0, 1])(Input([7, 1, 4])))
    np.testing.assert_array_equal(numbers.predict_proba(X), named.predict_proba(frame))


def test_fields_of_an_encoder():
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 30, 4000), rng.integers(0, 20, 4000)
    city = rng.integers(0, 5, 4000)
    U, V = rng.normal(size=(30, 2)), rng.normal(size=(20, 2))
    logits = 2.0 * np.einsum("rk,rk->r", U[users], V[items])
    y = rng.random(4000) < 1 / (1 + np.exp(-logits))
    frame = pd.DataFrame({"user": users.astype(str), "item": items.astype(str), "city": city.astype(str)})
    encoder = HashingEncoder(8, groups=True).fit(frame)
    X = encoder.transform(frame)
    train, test = slice(0, 3000), slice(3000, None)
    network = field_aware_factorization_machine(encoder.groups_)
    model = VectorFlowClassifier(network=network, random_state=0).fit(X[train], y[train])
    linear = VectorFlowClassifier(random_state=0).fit(X[train], y[train])
    loss, of_linear, least = (
        log_loss(y[test], p)
        for p in (model.predict_proba(X[test]), linear.predict_proba(X[test]), 1 / (1 + np.exp(-logits[test])))
    )
    assert loss < least + 0.3 * (of_linear - least)


def test_fields_tell_apart_what_one_embedding_cannot():
    """Interactions between a and b, and a and c, that contradict each other where an embedding is one for both."""
    rng = np.random.default_rng(0)
    n_rows, n = 20_000, 20
    a, b, c = rng.integers(0, n, (3, n_rows))
    tables = rng.normal(size=(3, n, n))
    y = tables[0][a, b] + tables[1][a, c] + tables[2][b, c]
    columns = np.column_stack([a, n + b, 2 * n + c]).ravel()
    X = sparse.csr_matrix(
        (np.ones(3 * n_rows, np.float32), columns, np.arange(0, 3 * n_rows + 1, 3)), shape=(n_rows, 3 * n)
    )
    options = dict(max_iter=30, tol=None, random_state=0)
    plain = VectorFlowRegressor(network=FactorizationMachine(8)(Input()), **options).fit(X[:16_000], y[:16_000])
    machine = FieldAwareFactorizationMachine(np.repeat([0, 1, 2], n), 8)(Input())
    fields = VectorFlowRegressor(network=machine, **options).fit(X[:16_000], y[:16_000])
    assert fields.score(X[16_000:], y[16_000:]) > plain.score(X[16_000:], y[16_000:]) + 0.1


def _of_fields(n_rows, n_fields, n_ids, strength, seed):
    """Rows of an id a field, whose log-odds have a part of each and one of each pair; rows to train and to test."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, n_ids, (n_rows + 4000, n_fields))
    taste, own = rng.normal(size=(n_fields, n_ids, n_fields, 2)), rng.normal(size=(n_fields, n_ids))
    logits = sum(own[f, ids[:, f]] / 2 for f in range(n_fields))
    for f in range(n_fields):
        for g in range(f):
            logits += strength / n_fields * np.sum(taste[f, ids[:, f], g] * taste[g, ids[:, g], f], axis=1)
    y = rng.random(len(ids)) < 1 / (1 + np.exp(-logits))
    columns = (ids + n_ids * np.arange(n_fields)).ravel()
    triplet = np.ones(columns.size, np.float32), columns, np.arange(0, columns.size + 1, n_fields)
    X = sparse.csr_matrix(triplet, shape=(len(ids), n_fields * n_ids))
    return X[:n_rows], y[:n_rows], X[n_rows:], y[n_rows:]


@pytest.mark.parametrize(
    "family, of_linear, of_machine",
    [
        ((20_000, 6, 30, 2.0, 0), 0.9, 0.95),
        ((20_000, 10, 20, 2.0, 1), 0.95, 0.95),
        ((10_000, 8, 50, 0.0, 2), 1.02, 1.02),
    ],
    ids=str,
)
def test_defaults_find_what_fields_tell_and_fit_no_noise(family, of_linear, of_machine):
    X, y, X_test, y_test = _of_fields(*family)
    fields = np.repeat(np.arange(family[1]), family[2])
    networks = None, factorization_machine(8), field_aware_factorization_machine(fields)
    models = [VectorFlowClassifier(network=network, random_state=0).fit(X, y) for network in networks]
    linear, machine, with_fields = (log_loss(y_test, model.predict_proba(X_test)) for model in models)
    assert with_fields < of_linear * linear
    assert with_fields < of_machine * machine


def test_weights_of_rows_count_as_copies():
    X, y = rows_and_classes()
    times = np.random.default_rng(0).integers(0, 3, N_ROWS)
    network = field_aware_factorization_machine(FIELDS["mixed"])
    options = dict(
        network=network, batch_size=N_ROWS * 3, alpha=0.0, max_iter=5, tol=None, shuffle=False, random_state=0
    )
    weighted = VectorFlowRegressor(**options).fit(X, y, sample_weight=times)
    copied = VectorFlowRegressor(**options).fit(np.repeat(X, times, axis=0), np.repeat(y, times))
    np.testing.assert_allclose(weighted.predict(X), copied.predict(X), rtol=1e-3, atol=1e-4)


def test_repeated_columns_are_summed_before_pairs_are_taken():
    once = sparse.csr_matrix(([3.0, 2.0], [0, 1], [0, 2]), shape=(1, 4))
    twice = sparse.csr_matrix(([1.0, 2.0, 2.0], [0, 1, 0], [0, 3]), shape=(1, 4))
    model = VectorFlowRegressor(network=field_aware_factorization_machine([1, 0, 1, 0]), max_iter=3, tol=None)
    model.fit(sparse.vstack([once] * 8), np.arange(8.0))
    assert model.predict(twice) == pytest.approx(model.predict(once), rel=1e-6)


def test_dropout_of_inputs():
    X, y = rows_and_classes()
    for batch_size in (1, 8):
        network = field_aware_factorization_machine(FIELDS["mixed"])
        dropped = _fitted(network, input_dropout=0.4, batch_size=batch_size)
        assert np.isfinite(dropped.predict_proba(X)).all()
        assert not np.array_equal(dropped.coefs_[1], _fitted(network, batch_size=batch_size).coefs_[1])


# ---- what travels --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields", [FIELDS["mixed"], {"a": slice(0, 6), "b": np.arange(6, 14)}, None], ids=["list", "dict", "none"]
)
def test_models_travel(fields, tmp_path):
    X, y = rows_and_classes()
    inputs = Concat()([Input(slice(0, 6)), Input(slice(6, 14))]) if fields is None else None
    model = _fitted(field_aware_factorization_machine(fields, inputs=inputs))
    model.save(tmp_path / "model.safetensors")
    loaded = sklearn_vectorflow.load(tmp_path / "model.safetensors")
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), loaded, clone(model).fit(X, y)):
        _same(model, other, X)
        assert repr(other) == repr(model)
    again = pickle.loads(pickle.dumps(model))
    _same(model.set_params(warm_start=True).fit(X, y), again.set_params(warm_start=True).fit(X, y), X)


def test_representations():
    model = _fitted(field_aware_factorization_machine([0, 1] * 7, rank=3))
    assert "FieldAwareFactorizationMachine(fields=<list>, rank=3)" in repr(model.network_)
    assert f"{N_FEATURES * 2 * 3} parameters" in repr(model.network_)
    assert model.network_.graph.weighted[1].n_weights == 6


def test_weights_are_not_exchanged_between_other_fields():
    first, second, third = (
        _fitted(FieldAwareFactorizationMachine(f)(Input())) for f in ([0, 1] * 7, [1, 0] * 7, [0, 1] * 7)
    )
    state = portable.take(first.network_)
    with pytest.raises(ValueError, match="belongs to another net"):
        portable.put(second.network_, state)
    portable.put(third.network_, state)


def test_a_server_predicts_the_same():
    X, _ = rows_and_classes()
    model = _fitted(field_aware_factorization_machine(FIELDS["mixed"]))
    np.testing.assert_allclose(
        model.predictor("predict_proba")(sparse.csr_matrix(X)), model.predict_proba(X), rtol=1e-6
    )


def test_no_onnx():
    pytest.importorskip("onnx")
    with pytest.raises(ValueError, match=r"FieldAware.* can't be written as ONNX"):
        to_onnx(_fitted(field_aware_factorization_machine(FIELDS["mixed"])))


def test_columns_that_come_later():
    X, y = rows_and_classes()
    fields = {"a": [0, 2, 4], "c": [1, 3], "b": slice(5, None)}
    model = VectorFlowClassifier(network=field_aware_factorization_machine(fields), grow=True, random_state=0)
    model.partial_fit(X[:, :9], y, classes=[0, 1])
    model = pickle.loads(pickle.dumps(model))  # weights have caught up
    before = model.predict_proba(X[:, :9])
    model._take_columns(X)
    np.testing.assert_array_equal(model.predict_proba(np.hstack([X[:, :9], 0 * X[:, 9:]])), before)
    model.partial_fit(X, y)
    assert model.network_.graph.weighted[1].n_in == N_FEATURES


@pytest.mark.parametrize(
    "fields", [[0, 1] * 4 + [0], {"a": slice(0, 5), "b": slice(5, 9)}, {"a": slice(-4, None), "b": slice(0, -4)}]
)
def test_columns_without_a_known_field_cannot_come_later(fields):
    X, y = rows_and_classes()
    model = VectorFlowClassifier(network=field_aware_factorization_machine(fields), grow=True, random_state=0)
    model.partial_fit(X[:, :9], y, classes=[0, 1])
    with pytest.raises(ValueError, match="fields"):
        model.partial_fit(X, y)


@pytest.mark.parametrize("travel", [copy.deepcopy, pickle.dumps, lambda model: model.save(os.devnull)])
def test_models_do_not_travel_with_other_fields_than_they_were_fitted_with(travel):
    """Users may change their own array."""
    fields = np.array([0, 1] * 7)
    model = _fitted(field_aware_factorization_machine(fields))
    fields[:2] = 1, 0
    with pytest.raises(ValueError, match="changed since"):
        travel(model)


# ---- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields, kind, message",
    [
        ([0, 1], ValueError, r"fields must have shape \(14,\), a field for each input, got \(2,\)"),
        (np.zeros((14, 1), int), ValueError, r"fields must have shape \(14,\)"),
        ([0] * 13 + [-1], ValueError, r"fields must not be negative, got -1"),
        ([0.0] * 14, TypeError, r"fields must be integers"),
        ([True] * 14, TypeError, r"fields must be integers"),
        (["a"] * 14, TypeError, r"fields must be integers"),
        ([[0], [1, 2]], TypeError, r"fields must be integers"),
        ("fields", TypeError, r"fields must be integers"),
        (3, ValueError, r"fields must have shape"),
        ([0] * 13 + [2**40], ValueError, r"fields must be at most 4096 in number, got 1099511627777"),
        (np.array([0] * 13 + [2**64 - 1], np.uint64), ValueError, r"fields must be at most 4096"),
        (None, ValueError, r"fields=None needs a Concat of inputs"),
        ({}, ValueError, r"fields has no field for column 0"),
        ({"a": slice(0, 13)}, ValueError, r"fields has no field for column 13"),
        ({"a": slice(0, 15)}, ValueError, r"field 'a' has columns that X, with 14, does not have"),
        ({"a": range(14), "b": [3]}, ValueError, r"field 'b' has columns of another field"),
        ({"a": [0, 14]}, ValueError, r"field 'a' has columns that X, with 14, does not have"),
        ({"a": [-1]}, ValueError, r"field 'a' has columns that X"),
        ({"a": ["c1"]}, ValueError, r"field 'a': X has no feature named 'c1'"),
        ({"a": [0.5]}, TypeError, r"field 'a' must be a slice"),
        ({"a": None}, TypeError, r"field 'a' must be a slice"),
        ({"a": slice(0, 7.0)}, TypeError, r"field 'a' must be a slice of column numbers, got slice"),
        ({"a": slice("c0", "c9")}, TypeError, r"field 'a' must be a slice of column numbers, got slice"),
        ({"a": slice(0, 14, 0)}, ValueError, r"field 'a' must be a slice of column numbers, got slice"),
    ],
)
def test_messages_name_fields(fields, kind, message):
    with pytest.raises(kind, match=f"FieldAwareFactorizationMachine.*{message}"):
        _fitted(FieldAwareFactorizationMachine(fields)(Input()))


@pytest.mark.parametrize(
    "options, kind, message",
    [
        ({"rank": 0}, ValueError, "FieldAwareFactorizationMachine: rank must be"),
        ({"rank": 1.5}, TypeError, "FieldAwareFactorizationMachine: rank must be"),
        ({"n_out": 0}, ValueError, "FieldAwareFactorizationMachine: n_out must be"),
        ({"init": np.zeros((14, 4))}, ValueError, r"init must be of shape \(14, 8\)"),
        ({"rank": 2**40}, (ValueError, MemoryError), "rank|GiB"),
        ({"rank": 2**30}, (ValueError, MemoryError), "rank|GiB"),
    ],
)
def test_messages_name_parameters(options, kind, message):
    with pytest.raises(kind, match=message):
        _fitted(FieldAwareFactorizationMachine([0, 1] * 7, **options)(Input()))


@pytest.mark.parametrize(
    "n_fields, rank, fields",
    [
        (2, 3, [0, 2]),
        (2, 3, [-1, 0]),
        (2, 3, [0]),
        (2, 3, [0, 1, 1]),
        (4, 3, [0, 1]),
        (0, 3, [0, 0]),
        (2, 4, [0, 1]),
        (-1, 6, [0, 0]),
    ],
)
def test_the_engine_checks_fields_itself(n_fields, rank, fields):
    net = engine.Net(1, 2)
    offsets = {"slot1": -1, "slot2": -1, "row": -1, "clock": -1, "average": -1}
    record = np.zeros((2, 6), np.float32)
    with pytest.raises(ValueError, match="fields|embeddings"):
        net.add_field_pairs(-1, fields, n_fields, rank, record, None, 6, offsets, "fixed", engine.EAGER, {}, {})


@pytest.mark.parametrize(
    "name, value",
    [("rank", 1), ("rank", 64), ("fields", [0, 1, 2] + [0] * 11), ("fields", [0] * 14), ("fields", [1, 0] * 7)],
)
@pytest.mark.parametrize("travels", [False, True])
def test_a_layer_changed_after_the_fit_does_not_fit_its_weights(name, value, travels):
    X, y = rows_and_classes()
    layer = FieldAwareFactorizationMachine([0, 1] * 7, 4)
    model = _fitted(layer(Input()))
    before = model.predict_proba(X)
    setattr(layer, name, value)
    try:
        model = pickle.loads(pickle.dumps(model)) if travels else model
        found = model.predict_proba(X)
    except ValueError as error:
        assert "Reset" in str(error) or "do not fit the layers" in str(error)
    else:
        assert name == "fields" and not travels
        np.testing.assert_array_equal(found, before)
