"""Merging states that were trained apart, beside its definition in plain loops."""

import copy
import pickle

import numpy as np
import pytest
from scipy import sparse

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor
from sklearn_vectorflow.engine.merging import progress_weight
from sklearn_vectorflow.merging import get_state, merge_states, set_state
from sklearn_vectorflow.optimizers import FTRL, SGD, AdaGrad, Adam
from sklearn_vectorflow.penalties import L1, L2, NonNegative, Signs

RNG = np.random.RandomState(0)
N_ROWS, N_COLUMNS = 1200, 300
X = sparse.random(N_ROWS, N_COLUMNS, density=0.03, random_state=0, format="csr", dtype=np.float32)
X.data = RNG.uniform(0.5, 1.5, X.nnz).astype(np.float32)
Y = (X @ RNG.randn(N_COLUMNS) > 0).astype(int)
BASE, PARTS = slice(0, 300), [slice(300, 600), slice(600, 700), slice(700, 1200)]

MODELS = {
    "adagrad": {"optimizer": AdaGrad()},
    "adagrad with L2": {"optimizer": AdaGrad(), "alpha": 1e-3},
    "adagrad with L1": {"optimizer": AdaGrad(), "alpha": 1e-3, "l1_ratio": 0.5},
    "adagrad, averaged": {"optimizer": AdaGrad(), "alpha": 1e-3, "average": 100},
    "adam": {"optimizer": Adam(0.1)},
    "sgd": {"optimizer": SGD(0.5), "alpha": 1e-3},
    "ftrl": {"optimizer": FTRL()},
    "ftrl with L2": {"optimizer": FTRL(), "alpha": 1e-3},
    "ftrl with L1": {"optimizer": FTRL(), "alpha": 1e-3, "l1_ratio": 0.9},
    "net": {"hidden_layer_sizes": (5,)},
    "net, adam": {"hidden_layer_sizes": (5,), "optimizer": Adam(0.1), "alpha": 1e-4},
    "net, ftrl": {"hidden_layer_sizes": (5,), "optimizer": FTRL(), "alpha": 1e-4},
    "net, averaged": {"hidden_layer_sizes": (5,), "average": 50},
}


def begun(name, **params):
    model = VectorFlowClassifier(random_state=0, **{**MODELS[name], **params})
    return going_on(model.partial_fit(X[BASE], Y[BASE], [0, 1]))


def going_on(model):
    """Return a model that goes on from its few first rows, and does not begin anew with more of them."""
    return set_state(model, get_state(model))


def trained(model, base, rows, part_of_base=True):
    worker = pickle.loads(pickle.dumps(model))
    set_state(worker, base).partial_fit(X[rows], Y[rows])
    return get_state(worker, base if part_of_base else None)


def with_state(model, state):
    return set_state(copy.deepcopy(model), state)


def same(one, other):
    """Whether two states have the same bits."""
    arrays = [
        [array for layer in state.layers for array in (layer.places(), layer.rows(layer.places()), layer.bias)]
        for state in (one, other)
    ]
    equal = all((a is None and b is None) or np.array_equal(a, b) for a, b in zip(*arrays))
    return equal and (one.step, one.elapsed) == (other.step, other.elapsed)


# ---- the definition, weight by weight --------------------------------------------------


def phi(rho):
    return rho / (1 - np.exp(-rho)) if rho > 1e-12 else 1.0


def merged_weight(base, parts, stiffness, coupling):
    """Weight and sum of squares: base and parts are pairs of them, those who did not touch it left out."""
    w0, g0 = base
    rho = [coupling * 2 * (g - g0) / (stiffness(g0) + stiffness(g)) for _, g in parts]
    shares = [phi(each) / phi(sum(rho)) for each in rho]
    w = w0 + sum(share * (w - w0) for share, (w, _) in zip(shares, parts))
    return w, g0 + sum(share * (g - g0) for share, (_, g) in zip(shares, parts))


@pytest.mark.parametrize("coupling", [0.5, 4.0])
@pytest.mark.parametrize("name", ["adagrad", "ftrl"])
def test_weights_are_those_of_the_definition(name, coupling):
    model = begun(name)
    base = get_state(model)
    states = [trained(model, base, rows) for rows in PARTS]
    result = with_state(model, merge_states(base, states, coupling=coupling))
    places = np.arange(N_COLUMNS)
    rule = base.layers[0].rule.numbers
    rate = rule["learning_rate"]

    def read(state, settled):
        rows = settled.layers[0].rows(places).astype(np.float64)
        if name == "ftrl":
            z, root = rows[:, 0], rows[:, 1]
            return list(zip(-z / ((rule["beta"] + root) / rate), root**2))
        r = rows[:, 1]
        return list(zip(rows[:, 0], np.where(r > 0, 1 / np.maximum(r, 1e-30) ** 2 - rule["epsilon"], 0.0)))

    def stiffness(g):
        return ((rule["beta"] + np.sqrt(g)) if name == "ftrl" else np.sqrt(rule["epsilon"] + g)) / rate

    before = read(base, base)
    after = [read(state, get_state(with_state(model, merge_states(base, [state])))) for state in states]
    n_shared = 0
    for column in range(N_COLUMNS):
        parts = [of[column] for of, state in zip(after, states) if column in state.layers[0].places()]
        expected = before[column][0]
        if parts:
            expected, _ = merged_weight(before[column], parts, stiffness, coupling)
            n_shared += len(parts) > 1
        assert result.coef_[0, column] == pytest.approx(expected, rel=2e-5, abs=1e-6)
    assert n_shared > 50


def test_sums_of_squares_follow_the_same_shares():
    model = begun("adagrad")
    base = get_state(model)
    states = [trained(model, base, rows) for rows in PARTS]
    merged = merge_states(base, states)
    rule, places = base.layers[0].rule.numbers, np.arange(N_COLUMNS)

    def sums(state):
        r = state.layers[0].rows(places)[:, 1].astype(np.float64)
        return np.where(r > 0, 1 / np.maximum(r, 1e-30) ** 2 - rule["epsilon"], 0.0)

    whole = [merge_states(base, [state]) for state in states]
    gains = [np.maximum(sums(one) - sums(base), 0.0) for one in whole]
    low = sums(base) + np.max(gains, axis=0)  # a share is at least that of the mean by information ...
    high = sums(base) + np.sum(gains, axis=0)  # ... and at most the sum
    found = sums(merged)
    n_learned = sum(gain > 0 for gain in gains)
    assert np.all(found <= high * (1 + 1e-5)) and np.all(found[n_learned < 2] >= low[n_learned < 2] * (1 - 1e-5))
    assert np.any(found[n_learned == 3] < 0.9 * high[n_learned == 3])


def merged_records(name, **params):
    """Return records of columns of X of a base, of states trained on from it, and of those merged, and the base."""
    model = begun(name, **params)
    base = get_state(model)
    states = [trained(model, base, rows, part_of_base=False) for rows in PARTS[::2]]
    merged = merge_states(base, states)
    places = np.arange(N_COLUMNS)
    before, *after = [one.layers[0].rows(places).astype(np.float64) for one in (base, *states, merged)]
    touched = [np.any(rows != before, axis=1) for rows in after[:-1]]
    return before, after[:-1], after[-1], np.all(touched, axis=0), merged


@pytest.mark.parametrize("name", ["adam", "net, adam"])
def test_what_adam_remembers_of_gradients_is_the_mean_of_those_who_learned(name):
    before, states, merged, shared, state = merged_records(name)
    layout = state.layers[0].layout
    second = layout.row + 1 if layout.slot2 < 0 else layout.slot2
    gains = [rows[shared, layout.row] - before[shared, layout.row] for rows in states]
    assert np.count_nonzero(shared) > 50 and np.all(np.array(gains) > 0)
    for moment in (layout.slot1, second):
        expected = np.average([rows[shared, moment] for rows in states], axis=0, weights=np.array(gains))
        np.testing.assert_allclose(merged[shared, moment], expected, rtol=1e-4, atol=1e-9)


def test_sums_behind_weights_that_rest_are_the_mean_of_those_who_learned():
    params = {"alpha": 3e-2, "l1_ratio": 1.0}
    _, states, merged, shared, state = merged_records("ftrl", **params)
    rest = shared & (with_state(begun("ftrl", **params), state).coef_[0] == 0.0)
    sums = np.array([rows[rest, state.layers[0].layout.slot1] for rows in states])
    found = merged[rest, state.layers[0].layout.slot1]
    assert np.count_nonzero(rest) > 50
    inside = np.abs(sums).max(axis=0) < state.step * state.layers[0].rule.penalty["l1"]
    assert np.count_nonzero(inside) > 50
    low, high = sums[:, inside].min(axis=0), sums[:, inside].max(axis=0)
    assert np.all((low - 1e-4 <= found[inside]) & (found[inside] <= high + 1e-4))


def test_sums_behind_weights_at_a_bound_stay_beyond_it():
    _, states, merged, shared, state = merged_records("ftrl", penalty=NonNegative())
    rest = shared & (with_state(begun("ftrl", penalty=NonNegative()), state).coef_[0] == 0.0)
    slot = state.layers[0].layout.slot1
    far = rest & (np.min([rows[:, slot] for rows in states], axis=0) > 0.1)
    assert np.count_nonzero(far) > 20
    assert np.all(merged[far, slot] > 0.1)  # and the next gradient does not lift the weight off at once


@pytest.mark.parametrize("name", ["ftrl", "adagrad"])
def test_merged_weights_keep_their_signs(name):
    signs = np.arange(N_COLUMNS) % 3 - 1
    _, states, merged, _, state = merged_records(name, penalty=Signs(signs))
    coef = with_state(begun(name, penalty=Signs(signs)), state).coef_[0]
    assert np.all(coef * signs >= 0) and np.any(coef[signs > 0] > 0) and np.any(coef[signs < 0] < 0)
    if name == "ftrl":
        slot = state.layers[0].layout.slot1
        far = (signs < 0) & (np.max([rows[:, slot] for rows in states], axis=0) < -0.1)
        assert np.count_nonzero(far) > 5 and np.all(merged[far, slot] < -0.1)


def test_what_has_gone_far_counts_by_information_and_the_rest_adds_up():
    assert progress_weight(1e-12) == pytest.approx(1.0)
    assert progress_weight(1e-9) / progress_weight(3e-9) == pytest.approx(1.0)
    assert progress_weight(50.0) / progress_weight(150.0) == pytest.approx(1 / 3)
    rho = np.geomspace(1e-10, 100, 200)
    assert np.all(np.diff([progress_weight(one) for one in rho]) >= 0)


# ---- what holds for every rule -----------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_one_state_merged_is_that_state(name):
    model = begun(name)
    base = get_state(model)
    for rows in PARTS:
        whole, gain = (trained(model, base, rows, some) for some in (False, True))
        expected = with_state(model, whole)
        for state in (whole, gain):
            merged = with_state(model, merge_states(base, [state]))
            np.testing.assert_array_equal(merged.decision_function(X), expected.decision_function(X))
            rest = slice(0, 200)
            for one in (merged, again := copy.deepcopy(expected)):
                one.partial_fit(X[rest], Y[rest])
            np.testing.assert_array_equal(merged.decision_function(X), again.decision_function(X))


@pytest.mark.parametrize("name", MODELS)
def test_a_state_taken_and_given_back_changes_nothing(name):
    model = begun(name)
    state = get_state(model)
    raw = model.decision_function(X)
    other = with_state(model, pickle.loads(pickle.dumps(state)))
    np.testing.assert_array_equal(other.decision_function(X), raw)
    assert same(get_state(other), state)


@pytest.mark.parametrize("name", MODELS)
def test_the_same_order_gives_the_same_bits_and_another_one_almost(name):
    model = begun(name)
    base = get_state(model)
    states = [trained(model, base, rows) for rows in PARTS]
    merged = merge_states(base, states)
    assert same(merged, merge_states(base, pickle.loads(pickle.dumps(states))))
    assert merged.step == base.step + sum(state.step - base.step for state in states)
    other = with_state(model, merge_states(base, states[::-1]))
    raw = with_state(model, merged).decision_function(X)
    np.testing.assert_allclose(other.decision_function(X), raw, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_merged_models_are_better_than_each_of_them(name):
    model = begun(name)
    base = get_state(model)

    def loss(state):
        raw = with_state(model, state).decision_function(X)
        return np.mean(np.logaddexp(0, np.where(Y > 0, -raw, raw)))

    states = [trained(model, base, rows) for rows in PARTS]
    each = [loss(merge_states(base, [state])) for state in states]
    # records of SGD do not tell how much they have learned from: the mean is what to be better than
    bound = np.mean(each) if name == "sgd" else min(each)
    assert loss(merge_states(base, states)) < min(bound, loss(base))


@pytest.mark.parametrize("name", ["adagrad", "ftrl", "adam"])
def test_rows_without_a_common_column_train_as_one_after_the_other(name):
    half = N_COLUMNS // 2
    left = sparse.hstack([X[:, :half], sparse.csr_matrix((N_ROWS, N_COLUMNS - half))], format="csr")
    right = sparse.hstack([sparse.csr_matrix((N_ROWS, half)), X[:, half:]], format="csr")
    params = {"random_state": 0, "fit_intercept": False, "alpha": 0.0, **MODELS[name]}
    model = going_on(VectorFlowClassifier(**params).partial_fit(X[BASE], Y[BASE], [0, 1]))
    base, states, in_turn = get_state(model), [], copy.deepcopy(model)
    for rows in (left, right):
        states.append(get_state(copy.deepcopy(model).partial_fit(rows, Y), base))
        in_turn.partial_fit(rows, Y)
    np.testing.assert_array_equal(with_state(model, merge_states(base, states)).coef_, in_turn.coef_)


def test_penalties_of_all_rows_act_on_weights_that_one_part_touched():
    half = N_COLUMNS // 2
    left = sparse.hstack([X[:, :half], sparse.csr_matrix((N_ROWS, N_COLUMNS - half))], format="csr")
    params = {"random_state": 0, "fit_intercept": False, "optimizer": AdaGrad(0.5), "alpha": 1e-2}
    model = going_on(VectorFlowClassifier(**params).partial_fit(X[BASE], Y[BASE], [0, 1]))
    base = get_state(model)
    state = get_state(copy.deepcopy(model).partial_fit(left, Y), base)
    nothing = get_state(copy.deepcopy(model).partial_fit(sparse.csr_matrix(X.shape), Y), base)
    assert not len(nothing.layers[0].places())
    expected = copy.deepcopy(model).partial_fit(left, Y).partial_fit(sparse.csr_matrix(X.shape), Y)
    merged = with_state(model, merge_states(base, [state, nothing]))
    assert np.abs(expected.coef_ - model.coef_).max() > 0.1
    np.testing.assert_allclose(merged.coef_, expected.coef_, rtol=1e-5, atol=1e-7)


OPTIMIZERS = [SGD(0.1), AdaGrad(0.1), AdaGrad(0.1, rowwise=True), Adam(0.01), Adam(0.01, rowwise=True), FTRL(0.1)]


def rows_one_of_which_is_rare(seed):
    """Return rows; the one in the middle alone has the last column."""
    rare = np.zeros((200, 1), dtype=np.float32)
    rare[100] = 1.0
    others = sparse.random(200, 20, density=0.2, random_state=seed, format="csr", dtype=np.float32)
    return sparse.hstack([others, rare], format="csr")


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize(
    ("hidden", "penalty"), [((), L2(0.3)), ((), L1(0.3)), ((), [L1(0.1), L2(0.2)]), ((3,), L2(0.3))], ids=repr
)
def test_what_penalties_leave_of_weights_is_multiplied(optimizer, hidden, penalty):
    """Each of many takes rare weights to almost nothing; added up, that would make minus many times of them."""
    X = rows_one_of_which_is_rare(0).tolil()
    X[100:, 20] = 1.0
    y = np.full(200, 1e3)
    options = {"fit_intercept": False, "shuffle": False, "random_state": 0, "activation": "identity"}
    model = VectorFlowRegressor(
        loss="absolute_error", hidden_layer_sizes=hidden, optimizer=optimizer, penalty=penalty, **options
    )
    model = going_on(model.partial_fit(X.tocsr().astype(np.float32), y))

    def after(state, seed):
        return get_state(with_state(model, state).partial_fit(rows_one_of_which_is_rare(seed), y))

    def weights(state):
        return np.ravel(with_state(model, state).network_.weights()[0][20])

    base = in_turn = get_state(model)
    before, states = weights(base), []
    for n in range(1, 17):
        states.append(after(base, n))
        in_turn = after(in_turn, n)
        alone = np.abs([weights(state) for state in states])
        merged = weights(merge_states(base, states))
        assert np.linalg.norm(alone[-1]) < 0.9 * np.linalg.norm(before)  # else there is nothing to see
        assert np.all(merged * np.sign(before) >= 0.0)
        assert np.all(np.abs(merged) <= alone.max(axis=0) * (1 + 1e-6))
    if not hidden and isinstance(optimizer, (AdaGrad, FTRL)):  # of others the mean is taken
        assert np.linalg.norm(merged - weights(in_turn)) < 0.1 * np.linalg.norm(before)


def test_gains_hold_touched_records_alone():
    wide = sparse.csr_matrix((X.data, X.indices * 1000, X.indptr), (N_ROWS, N_COLUMNS * 1000))
    model = going_on(VectorFlowClassifier(random_state=0).partial_fit(wide[BASE], Y[BASE], [0, 1]))
    base = get_state(model)
    few = slice(300, 310)
    gain = get_state(copy.deepcopy(model).partial_fit(wide[few], Y[few]), base)
    touched = np.unique(wide[few].indices)
    np.testing.assert_array_equal(gain.layers[0].places(), touched)
    record = base.layers[0].layout.stride * 4
    assert gain.nbytes <= (len(touched) + 1) * (record + 8)
    assert base.nbytes <= (N_COLUMNS + 1) * (record + 8)
    merged = with_state(model, merge_states(base, [gain]))
    np.testing.assert_array_equal(merged.coef_, copy.deepcopy(model).partial_fit(wide[few], Y[few]).coef_)


def test_records_that_are_not_kept_are_zeros():
    wide = sparse.csr_matrix((X.data, X.indices * 5, X.indptr), (N_ROWS, N_COLUMNS * 5))
    layer = get_state(VectorFlowClassifier(random_state=0).partial_fit(wide[BASE], Y[BASE], [0, 1])).layers[0]
    assert 0 < len(layer.index) < layer.n_records
    expected = np.zeros((layer.n_records, layer.layout.stride), dtype=np.float32)
    expected[layer.index] = layer.record
    for places in (np.arange(layer.n_records), np.arange(3, layer.n_records, 7)):
        np.testing.assert_array_equal(layer.rows(places), expected[places])


def test_regression_and_several_outputs():
    targets = np.column_stack([X @ RNG.randn(N_COLUMNS), X @ RNG.randn(N_COLUMNS)])
    model = going_on(VectorFlowRegressor(random_state=0).partial_fit(X[BASE], targets[BASE]))
    base = get_state(model)
    states = [get_state(copy.deepcopy(model).partial_fit(X[rows], targets[rows]), base) for rows in PARTS]
    assert with_state(model, merge_states(base, states)).score(X, targets) > model.score(X, targets) + 0.05


def test_a_model_given_a_state_does_not_begin_anew():
    model = VectorFlowClassifier(random_state=0).partial_fit(X[BASE], Y[BASE], [0, 1])
    state = get_state(model)
    worker = set_state(copy.deepcopy(model), state).partial_fit(X[PARTS[2]], Y[PARTS[2]])
    assert worker.network_.scales == model.network_.scales
    assert get_state(worker).step == state.step + 500
    gain = get_state(worker, state)
    np.testing.assert_array_equal(with_state(model, merge_states(state, [gain])).coef_, worker.coef_)


@pytest.mark.parametrize("optimizer", [FTRL(), AdaGrad()])
def test_the_state_after_early_stopping_is_of_the_weights_that_were_kept(optimizer):
    noisy = Y ^ (np.random.default_rng(0).random(N_ROWS) < 0.2)
    model = VectorFlowClassifier(
        optimizer=optimizer, alpha=1e-3, random_state=0, max_iter=60, early_stopping=True, tol=0, n_iter_no_change=3
    ).fit(X[250:], noisy[250:], X_val=X[:250], y_val=noisy[:250])
    kept = model.decision_function(X)
    assert int(np.argmax(model.validation_scores_)) < model.n_iter_ - 1  # the last weights are not those
    np.testing.assert_allclose(with_state(model, get_state(model)).decision_function(X), kept, rtol=1e-4, atol=1e-4)
    coef = model.coef_.copy()
    model.partial_fit(sparse.csr_matrix((1, N_COLUMNS), dtype=np.float32), Y[:1])  # touches the intercept alone
    np.testing.assert_allclose(model.coef_, coef, rtol=2e-3, atol=1e-5)  # and a penalty acts once


# ---- what is refused -------------------------------------------------------------------


def test_a_model_without_optimizer_state_is_refused():
    model = VectorFlowClassifier(random_state=0, max_iter=1, tol=None).fit(X, Y)
    model.network_.keep_state = False
    with pytest.raises(ValueError, match="no state of the optimizer"):
        get_state(pickle.loads(pickle.dumps(model)))


def test_states_that_do_not_belong_together_are_refused():
    model, other = begun("ftrl"), begun("ftrl with L2")
    base = get_state(model)
    with pytest.raises(TypeError, match="states\\[0\\] must be what get_state returns"):
        merge_states(base, [model])
    with pytest.raises(ValueError, match="another optimizer"):
        merge_states(base, [get_state(other)])
    with pytest.raises(ValueError, match="states of different nets"):
        merge_states(base, [get_state(begun("net"))])
    with pytest.raises(ValueError, match="belongs to another net"):
        set_state(begun("net"), base)
    with pytest.raises(TypeError, match="must be what get_state returns"):
        set_state(model, None)
    model.partial_fit(X, Y)
    with pytest.raises(ValueError, match="was not trained from base"):
        merge_states(get_state(model), [base])
    with pytest.raises(ValueError, match="coupling"):
        merge_states(base, [base], coupling=0)


def test_states_of_workers_that_began_anew_are_refused():
    model = VectorFlowClassifier(random_state=0).partial_fit(X[BASE], Y[BASE], [0, 1])
    base = get_state(model)
    model.partial_fit(X[PARTS[2]], Y[PARTS[2]])  # more than as many rows again
    with pytest.raises(ValueError, match="Pass the base to each worker by set_state"):
        get_state(model, base)
    with pytest.raises(ValueError, match="states\\[0\\] has units of other rows than base"):
        merge_states(base, [get_state(model)])


def test_no_states_leave_the_base():
    base = get_state(begun("ftrl"))
    assert merge_states(base, []) is base
