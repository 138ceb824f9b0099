"""half_life: what step sizes are learned from decays between blocks, and weights stay."""

import pickle

import numpy as np
import pytest
from scipy import sparse
from sklearn.metrics import log_loss

import sklearn_vectorflow
from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRanker, VectorFlowRegressor, VectorFlowSurvivalEstimator
from sklearn_vectorflow.merging import get_state, merge_states
from sklearn_vectorflow.optimizers import FTRL, SGD, AdaGrad, Adam
from sklearn_vectorflow.penalties import L1, L2, NonNegative
from sklearn_vectorflow.threads import ALONE

# ---- the arithmetic ----------------------------------------------------------------


class Reference:
    """One weight on a column of ones, squared error, one row a step; its sums decay as documented."""

    def __init__(self, rule, rate, start, l1=0.0, l2=0.0):
        self.rule, self.rate, self.start, self.l1, self.l2 = rule, rate, start, l1, l2
        self.w = self.z = self.sum = 0.0
        self.t = self.remembered = 0

    def scale(self):
        if self.rule == "ftrl":
            return (self.start + np.sqrt(self.sum)) / self.rate + self.t * self.l2
        return np.sqrt(self.start + self.sum) / self.rate

    def block(self, targets, half_life):
        if 8 * self.remembered >= half_life:
            share = 2.0 ** (-self.remembered / half_life)
            self.sum, self.t, self.remembered = share * self.sum, max(1, round(share * self.t)), 0
            self.z = -(self.w * self.scale() + np.sign(self.w) * self.t * self.l1)
        for target in targets:
            gradient, before = self.w - target, np.sqrt(self.sum)
            self.sum, self.t = self.sum + gradient**2, self.t + 1
            if self.rule == "ftrl":
                self.z += gradient - (np.sqrt(self.sum) - before) / self.rate * self.w
                self.w = -np.sign(self.z) * max(0.0, abs(self.z) - self.t * self.l1) / self.scale()
            else:
                self.w -= gradient / self.scale()
        self.remembered += len(targets)


@pytest.mark.parametrize(
    "rule, penalty", [("ftrl", None), ("ftrl", L2(0.01)), ("ftrl", L1(0.02)), ("adagrad", None), ("rowwise", None)]
)
def test_sums_are_those_of_the_reference(rule, penalty):
    rng, half_life = np.random.default_rng(0), 40.0
    optimizer = FTRL(0.5, beta=2.0) if rule == "ftrl" else AdaGrad(0.5, epsilon=2.0, rowwise=rule == "rowwise")
    strengths = {"l1": 0.02} if isinstance(penalty, L1) else {} if penalty is None else {"l2": 0.01}
    reference = Reference(rule, 0.5, 2.0, **strengths)
    model = VectorFlowRegressor(
        optimizer=optimizer, penalty=penalty, alpha=0.0, fit_intercept=False, shuffle=False, half_life=half_life
    )
    for size in (3, 30, 1, 4, 2, 100, 7):
        y = rng.normal(1.0, 1.0, size)
        model.partial_fit(np.ones((size, 1), np.float32), y)
        reference.block(y, half_life)
        layer = get_state(model).layers[0]
        layout, record = layer.layout, layer.record[0].astype(float)
        if rule == "ftrl":
            assert record[layout.slot1] == pytest.approx(reference.z, rel=1e-5)
            assert record[layout.slot2] ** 2 == pytest.approx(reference.sum, rel=1e-5)
        else:
            place = layout.row if rule == "rowwise" else layout.slot1
            assert record[place] ** -2 == pytest.approx(2.0 + reference.sum, rel=1e-5)
        assert model.network_._state.progress[0] == reference.t
        assert model.coef_[0] == pytest.approx(reference.w, rel=1e-4)


def stream(n_days, walk=0.25, per_day=3_000, n_columns=2_000, seed=0):
    """Days of rows of ten ones, whose true weights walk at random and stay of the same size."""
    rng = np.random.default_rng(seed)
    weights, share = rng.standard_normal(n_columns), 1.0 / np.arange(1, n_columns + 1) ** 0.7
    for _ in range(n_days):
        columns = rng.choice(n_columns, (per_day, 10), p=share / share.sum())
        rows = np.repeat(np.arange(per_day), 10)
        X = sparse.csr_matrix((np.ones(rows.size, np.float32), (rows, columns.ravel())), (per_day, n_columns))
        yield X, (rng.random(per_day) < 1.0 / (1.0 + np.exp(-0.5 * (X @ weights)))).astype(int)
        weights = (weights + walk * rng.standard_normal(n_columns)) / np.sqrt(1.0 + walk**2)


ON_ALL = [
    {},
    {"optimizer": "adagrad"},
    {"optimizer": "adam"},
    {"optimizer": SGD(0.03)},
    {"optimizer": "adagrad", "average": True},
    {"hidden_layer_sizes": 4},
    {"hidden_layer_sizes": 4, "optimizer": "ftrl", "alpha": 1e-5},
    {"hidden_layer_sizes": 4, "optimizer": AdaGrad(rowwise=False), "penalty": [L1(1e-6), L2(1e-6)]},
    {"penalty": [L1(1e-5), NonNegative()]},
    {"optimizer": "adagrad", "penalty": L2(1e-5), "average": 100},
]


@pytest.mark.parametrize("parameters", ON_ALL, ids=str)
def test_predictions_stay_while_sums_decay(parameters):
    blocks = list(stream(3, per_day=1_200))
    model = VectorFlowClassifier(half_life=200, random_state=0, **parameters)
    for X, y in blocks[:2]:
        model.partial_fit(X, y, classes=[0, 1])
    before, steps, average_from = (
        model.decision_function(X),
        model.network_.n_steps,
        model.network_._state.average_from,
    )
    again = pickle.loads(pickle.dumps(model))
    again._forget(again, again.network_, ALONE)
    np.testing.assert_allclose(again.decision_function(X), before, rtol=2e-5, atol=2e-6)
    assert again.network_.n_steps == max(1, round(steps * 2.0 ** (-1_200 / 200)))
    counted = again.network_.n_steps - again.network_._state.average_from
    assert counted == pytest.approx((steps - average_from) * 2.0 ** (-1_200 / 200), abs=2)
    assert again._n_remembered == 0
    for X, y in blocks[2:]:
        assert np.isfinite(again.partial_fit(X, y).decision_function(X)).all()


def test_weights_that_no_row_touches_go_on_to_shrink():
    X = sparse.csr_matrix(np.eye(2, dtype=np.float32).repeat(100, axis=0))
    model = VectorFlowRegressor(
        optimizer=AdaGrad(0.5), penalty=L2(1e-3), fit_intercept=False, shuffle=False, half_life=1_000
    )
    model.partial_fit(X, np.ones(200))
    for _ in range(5):
        before = model.coef_[1]
        model.partial_fit(X[:100], np.ones(100))
        layer = get_state(model).layers[0]
        rate = 0.5 * layer.record[1, layer.layout.slot1]
        assert model.coef_[1] / before == pytest.approx((1.0 + 1e-3 * rate) ** -100.0, rel=1e-5)
    assert model.network_._state.decays > 1


# ---- what it is for ------------------------------------------------------------------


def late_loss(model, **options):
    """The mean loss of the last ten of thirty days, each before it is trained on."""
    losses = []
    for X, y in stream(30, **options):
        if hasattr(model, "network_"):
            losses.append(log_loss(y, model.predict_proba(X)[:, 1]))
        model.partial_fit(X, y, classes=[0, 1])
    return np.mean(losses[-10:])


@pytest.mark.parametrize("optimizer, half_life", [("ftrl", 6_000), ("adagrad", 1_500)])
def test_a_stream_that_drifts_is_followed(optimizer, half_life):
    forgetting = late_loss(VectorFlowClassifier(optimizer=optimizer, half_life=half_life, random_state=0))
    plain = late_loss(VectorFlowClassifier(optimizer=optimizer, random_state=0))
    rates = (0.01, 0.02, 0.03, 0.05)
    sgd = [late_loss(VectorFlowClassifier(optimizer=SGD(r, schedule="constant"), random_state=0)) for r in rates]
    assert forgetting < plain - 0.01
    assert forgetting < 1.01 * min(sgd)


def test_a_long_half_life_costs_a_stationary_stream_next_to_nothing():
    forgetting = late_loss(VectorFlowClassifier(half_life=60_000, random_state=0), walk=0.0)
    assert forgetting < 1.002 * late_loss(VectorFlowClassifier(random_state=0), walk=0.0)


def test_schedules_of_sgd_do_not_die():
    rates = []
    for half_life in (None, 500):
        model = VectorFlowClassifier(optimizer=SGD(0.1, power_t=1.0), half_life=half_life, shuffle=False)
        for X, y in stream(10, per_day=500):
            before = model.coef_.copy() if hasattr(model, "network_") else None
            model.partial_fit(X, y, classes=[0, 1])
        rates.append(np.abs(model.coef_ - before).max())
    assert rates[1] > 3 * rates[0]


# ---- what it leaves alone --------------------------------------------------------------


def test_none_changes_nothing_and_nor_does_fit():
    (X, y), (more, targets) = stream(2)
    plain, forgetting = (VectorFlowClassifier(half_life=h, max_iter=3, random_state=0) for h in (None, 1))
    for model in (plain, forgetting):
        model.fit(X, y)
    np.testing.assert_array_equal(plain.coef_, forgetting.coef_)
    for model in (plain, forgetting):  # what fit has learned is not forgotten before a row has come
        model.partial_fit(more, targets)
    np.testing.assert_array_equal(plain.coef_, forgetting.coef_)
    assert "_n_remembered" not in vars(plain)
    assert forgetting._n_remembered == len(targets)


def test_rows_of_weight_zero_do_not_count():
    (X, y), *_ = stream(1)
    model = VectorFlowClassifier(half_life=1e6).partial_fit(X, y, classes=[0, 1], sample_weight=np.arange(len(y)) % 3)
    assert model._n_remembered == np.count_nonzero(np.arange(len(y)) % 3)


@pytest.mark.parametrize("way", ["pickle", "save"])
@pytest.mark.parametrize("optimizer", ["ftrl", "adagrad"])
def test_a_model_that_was_stored_goes_on_alike(way, optimizer, tmp_path):
    blocks = list(stream(6, per_day=1_500))
    models = [VectorFlowClassifier(optimizer=optimizer, half_life=14_000, random_state=0) for _ in range(2)]
    for X, y in blocks:
        models[0].partial_fit(X, y, classes=[0, 1])
        models[1].partial_fit(X, y, classes=[0, 1])
        if way == "pickle":
            models[1] = pickle.loads(pickle.dumps(models[1]))
        else:
            models[1].save(tmp_path / "model")
            models[1] = sklearn_vectorflow.load(tmp_path / "model")
    assert models[0].network_._state.decays == models[1].network_._state.decays == 2
    np.testing.assert_array_equal(models[0].coef_, models[1].coef_)
    np.testing.assert_array_equal(models[0].intercept_, models[1].intercept_)


@pytest.mark.parametrize("keep", [True, False])
def test_a_model_without_state_has_nothing_to_forget(keep):
    (X, y), (more, targets), (last, labels) = stream(3)
    model = VectorFlowClassifier(half_life=100).partial_fit(X, y, classes=[0, 1])
    model.network_.keep_state = keep
    model = pickle.loads(pickle.dumps(model)).partial_fit(more, targets)
    assert model.network_._state.decays == keep
    assert model.partial_fit(last, labels).network_._state.decays == keep + 1


def test_a_block_that_fails_leaves_weights_and_counts_as_after_forgetting():
    (X, y), (more, targets) = stream(2)
    model = VectorFlowClassifier(half_life=1_000, random_state=0).partial_fit(X, y, classes=[0, 1])
    raw = model.decision_function(X)
    with pytest.raises(ValueError, match="diverged"):
        model.partial_fit(5e37 * more, targets)
    np.testing.assert_allclose(model.decision_function(X), raw, rtol=1e-5, atol=1e-6)
    assert model._n_remembered == 0
    assert model.network_._state.decays == 1


def test_states_that_forgot_are_not_merged():
    blocks = list(stream(4))
    model = VectorFlowClassifier(half_life=1_000, random_state=0).partial_fit(*blocks[0], classes=[0, 1])
    base = get_state(model)
    for X, y in blocks[1:3]:
        model.partial_fit(X, y)
    with pytest.raises(ValueError, match=r"states\[0\] has decayed since base"):
        merge_states(base, [get_state(model)])


@pytest.mark.parametrize(
    "model, y",
    [
        (VectorFlowRegressor(half_life=300, random_state=0), lambda y: y + 0.5),
        (VectorFlowRanker(half_life=300, random_state=0), lambda y: y),
        (VectorFlowSurvivalEstimator(half_life=300, random_state=0), lambda y: (y > 0, y + 1.0)),
    ],
)
def test_all_estimators_forget(model, y):
    for X, labels in stream(3, per_day=1_200):
        more = {"qid": np.repeat(np.arange(120), 10)} if isinstance(model, VectorFlowRanker) else {}
        model.partial_fit(X, y(labels), **more)
    assert model.network_._state.decays == 2


@pytest.mark.parametrize(
    "wrong, error", [(0, ValueError), (-1.0, ValueError), (np.inf, ValueError), ("10", TypeError), (True, TypeError)]
)
def test_half_lives_that_are_none(wrong, error):
    (X, y), *_ = stream(1)
    for method in ("fit", "partial_fit"):
        with pytest.raises(error, match="half_life must be"):
            getattr(VectorFlowRegressor(half_life=wrong), method)(X, y)


def test_a_pickle_with_a_wrong_count_is_refused():
    (X, y), *_ = stream(1)
    model = VectorFlowRegressor(half_life=10, optimizer=Adam()).partial_fit(X, y)
    model._n_remembered = -1
    with pytest.raises(ValueError, match="_n_remembered"):
        pickle.loads(pickle.dumps(model))


def test_a_block_that_fails_leaves_what_a_net_remembers_where_columns_were_added():
    rng = np.random.default_rng(0)
    X = sparse.random_array((200, 12), density=0.4, rng=rng, format="csr")
    y = X[:, :3].sum(axis=1) > 0.6
    model = VectorFlowClassifier(grow=True, half_life=10, random_state=0)
    for _ in range(8):  # of first rows there are enough
        model.partial_fit(X[:, :10], y, [False, True])
    before = pickle.dumps(model)
    with pytest.raises(ValueError, match="diverged"):
        model.partial_fit(X, y, offset=np.full(200, -1e308))
    assert pickle.dumps(model) == before
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit(X, y, offset=np.full(200, np.nan))
    assert pickle.dumps(model) == before
