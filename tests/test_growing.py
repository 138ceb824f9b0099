"""grow=True: columns, classes and labels that come up later."""

import pickle

import numpy as np
import pytest
from scipy import sparse
from scipy.special import logsumexp

import sklearn_vectorflow
from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRanker, VectorFlowRegressor, VectorFlowSurvivalEstimator
from sklearn_vectorflow.layers import (
    Add,
    Concat,
    Crosses,
    FactorizationMachine,
    Input,
    Linear,
    ReLU,
    Tanh,
    factorization_machine,
    field_aware_factorization_machine,
)
from sklearn_vectorflow.losses import SampledSoftmaxLoss
from sklearn_vectorflow.optimizers import FTRL, SGD, AdaGrad, Adam
from sklearn_vectorflow.penalties import L1, L2, ElasticNet, NonNegative

RNG = np.random.default_rng(0)
FEW, MANY = 40, 70
TRUE = 2.0 * RNG.standard_normal((MANY, 5))


def rows(n, n_columns, seed):
    return sparse.random(n, n_columns, 0.1, format="csr", dtype=np.float32, random_state=seed)


def widened(X, n_columns=MANY):
    """The same rows with more columns, which are empty."""
    if not sparse.issparse(X):
        return np.pad(X, ((0, 0), (0, n_columns - X.shape[1])))
    return sparse.csr_matrix((X.data, X.indices, X.indptr), (X.shape[0], n_columns))


X1, X2 = rows(1_500, FEW, 1), rows(1_500, MANY, 2)
SCORES1, SCORES2 = X1 @ TRUE[:FEW], X2 @ TRUE
Y1, Y2 = SCORES1[:, 0] + 0.5, SCORES2[:, 0] + 0.5
LAST = slice(0, 1)


def deep(**options):
    x = Input()
    return Add()([Linear()(x), Linear()(ReLU()(Linear(6, **options)(x)))])


def crossed():
    x = Input()
    crosses = Crosses([("a", "b")], {"a": slice(0, 20), "b": slice(20, FEW)}, n_features=64)(x)
    return Add()([Linear()(x), Linear()(crosses)])


def several_roots():
    """Of the first root, all columns are read; its columns to come lie between those that there are."""
    return Linear()(ReLU()(Linear(5)(Concat()([Input(), Input(slice(3, 9)), Input([30, 2])]))))


def targets_of(model):
    """Targets of both blocks and further arguments for a model."""
    if isinstance(model, VectorFlowClassifier):
        return (Y1 > 0.5).astype(int), (Y2 > 0.5).astype(int), {}
    if isinstance(model, VectorFlowSurvivalEstimator):
        return (np.ones(1_500, bool), np.exp(Y1 / 9)), (np.ones(1_500, bool), np.exp(Y2 / 9)), {}
    if isinstance(model, VectorFlowRanker):
        return (Y1 > 0.5).astype(int), (Y2 > 0.5).astype(int), {"qid": np.repeat(np.arange(150), 10)}
    return Y1, Y2, {}


MODELS = [
    VectorFlowRegressor(),
    VectorFlowRegressor(optimizer="adagrad"),
    VectorFlowRegressor(optimizer="adagrad", penalty=[L1(1e-4), L2(1e-4)]),
    VectorFlowRegressor(optimizer=Adam(), average=True),
    VectorFlowRegressor(optimizer=SGD(0.01), alpha=1e-3, average=10),
    VectorFlowRegressor(penalty=[L1(1e-4), NonNegative(0.01)]),
    VectorFlowRegressor((6, 3)),
    VectorFlowRegressor(6, optimizer="ftrl", alpha=1e-4),
    VectorFlowRegressor(6, optimizer=Adam(), average=True, penalty=L2(1e-4)),
    VectorFlowRegressor(network=factorization_machine(4)),
    VectorFlowRegressor(network=factorization_machine(4), optimizer="adagrad", alpha=1e-4),
    VectorFlowRegressor(network=deep()),
    VectorFlowRegressor(network=deep(init=0.1, optimizer=FTRL())),
    VectorFlowRegressor(network=crossed()),
    VectorFlowRegressor(network=several_roots()),
    VectorFlowClassifier(),
    VectorFlowClassifier(network=Linear()(Input(slice(0, 30)))),
    VectorFlowClassifier(loss=SampledSoftmaxLoss(1), alpha=1e-4),
    VectorFlowRanker(),
    VectorFlowSurvivalEstimator(),
    VectorFlowSurvivalEstimator("lognormal", hidden_layer_sizes=4),
    VectorFlowRegressor(network=field_aware_factorization_machine({"a": slice(0, 20), "b": slice(20, None)})),
]

pytestmark = pytest.mark.filterwarnings("ignore:.*n_negatives:UserWarning")


def fresh(model, **more):
    return type(model)(**{**model.get_params(deep=False), "grow": True, "random_state": 0, **more})


# ---- columns -----------------------------------------------------------------------------


@pytest.mark.parametrize("as_dense", [False, True])
@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_old_rows_are_predicted_by_the_same_bits(model, as_dense):
    model, (y, _, more) = fresh(model), targets_of(model)
    X, n_classes = X1.toarray() if as_dense else X1, {"classes": [0, 1]} if hasattr(model, "decision_function") else {}
    model.partial_fit(X, y, **more, **n_classes)
    model.partial_fit(X, y, **more)  # and has missed steps, where weights catch up later
    again = pickle.loads(pickle.dumps(model))
    before = again._raw(X)  # by weights that have caught up
    for one in (model, again):
        one._take_columns(X2)
        assert one.n_features_in_ == one.network_.n_features == MANY
        np.testing.assert_array_equal(one._raw(widened(X)), before)


@pytest.mark.parametrize("n_before", [100, 700, 1_500])
@pytest.mark.parametrize(
    "model",
    [*MODELS[:5], VectorFlowRegressor(penalty=[L1(1e-4), NonNegative()]), MODELS[13], *MODELS[15:20]],
    ids=repr,
)
def test_linear_models_learn_as_if_the_columns_had_been_there(model, n_before):
    y, y_more, more = targets_of(model)

    def of(values, some):
        return tuple(one[some] for one in values) if isinstance(values, tuple) else values[some]

    growing, wide = fresh(model), fresh(model, grow=False)
    for start in range(0, 1_500, n_before):
        some = slice(start, start + n_before)
        args, known = [of(y, some)], {"classes": [0, 1]} if hasattr(model, "decision_function") else {}
        groups = {name: value[some] for name, value in more.items()}
        growing.partial_fit(X1[some], *args, **groups, **known)
        wide.partial_fit(widened(X1[some]), *args, **groups, **known)
        if start == 300:
            break  # while a stream's first rows are kept
    wide.network_.settle()  # as growing does: rounding differs between two halves and a whole
    for one in (growing, wide):
        one.partial_fit(X2, y_more, **more)
    for mine, theirs in zip(growing.coefs_, wide.coefs_):
        np.testing.assert_array_equal(mine, theirs)
    for mine, theirs in zip(growing.intercepts_, wide.intercepts_):
        np.testing.assert_array_equal(mine, theirs)


def test_weights_of_hidden_layers_are_drawn_for_new_columns():
    model = fresh(VectorFlowRegressor(6)).partial_fit(X1, Y1)
    drawn = pickle.loads(pickle.dumps(model))
    drawn._take_columns(X2)
    old, new = (one.coefs_[0] for one in (model, drawn))
    np.testing.assert_array_equal(new[:FEW], old)
    bound = np.sqrt(3.0 * 2.0 / MANY)  # of a uniform distribution of He's variance
    assert 0.8 * bound < np.abs(new[FEW:]).max() <= bound
    assert len(np.unique(new[FEW:])) == 6 * (MANY - FEW)


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_new_columns_are_learned(model):
    y, y_more, more = targets_of(model)
    model = fresh(model)
    known = {"classes": [0, 1]} if hasattr(model, "decision_function") else {}
    model.partial_fit(X1, y, **more, **known)
    for _ in range(3):
        model.partial_fit(X2, y_more, **more)
    reads = model.network_.graph.weighted[0].n_in
    moved = model.coefs_[0][FEW:] if reads >= MANY else model.coefs_[0]
    assert np.isfinite(model._raw(X2)).all()
    assert np.all(np.any(moved != 0.0, axis=1))


@pytest.mark.parametrize(
    "optimizer, average",
    [(SGD(0.01, schedule="constant"), False), (SGD(0.01, schedule="constant"), 100), (FTRL(0.01), False)],
)
def test_new_weights_owe_nothing_for_steps_before_them(optimizer, average):
    penalty = L2(0.1 if average or isinstance(optimizer, SGD) else 1e-9)
    model = fresh(VectorFlowRegressor(6, optimizer=optimizer, penalty=penalty, average=average))
    model.partial_fit(X1, Y1)
    drawn = pickle.loads(pickle.dumps(model))
    drawn._take_columns(X2)
    before = drawn.coefs_[0][FEW:].copy()
    drawn.partial_fit(widened(X1[LAST]), Y1[LAST])
    assert np.all(before != 0.0)
    np.testing.assert_allclose(drawn.coefs_[0][FEW:], before, rtol=2 * 0.01 * 0.1)


def test_without_grow_other_columns_are_refused_as_before():
    for grow, X in ((False, X2), (True, X1[:, :-1])):
        model = fresh(VectorFlowRegressor(), grow=grow).partial_fit(X1, Y1)
        with pytest.raises(ValueError, match=f"X has {X.shape[1]} features, but .* is expecting {FEW} features"):
            model.partial_fit(X, Y2)
    with pytest.raises(ValueError, match=f"X has {FEW} features, but .* is expecting {MANY} features"):
        fresh(VectorFlowRegressor()).partial_fit(X1, Y1).partial_fit(X2, Y2).predict(X1)
    with pytest.raises(TypeError, match="grow must be True or False"):
        fresh(VectorFlowRegressor(), grow="yes").partial_fit(X1, Y1)


def test_a_block_that_fails_leaves_the_model_as_it_was():
    labels = (Y1 > 0.5).astype(int)
    model = fresh(VectorFlowClassifier()).partial_fit(X1[:500], labels[:500], classes=[0, 1])
    state, before = pickle.dumps(model), model.decision_function(X1)
    bad = X2.copy()
    bad.data[:] = 1e38
    for X, y in ((bad, labels), (X2, labels[:-1]), (X2, np.where(labels, np.nan, 2.0)), (X2, np.full(1_500, "new"))):
        with pytest.raises((ValueError, TypeError)):
            model.partial_fit(X, y)
        np.testing.assert_array_equal(model.decision_function(X1), before)
        assert model.n_features_in_ == FEW
        assert pickle.dumps(model) == state


def test_names_must_extend_those_before():
    pd = pytest.importorskip("pandas")
    names = [f"x{k}" for k in range(MANY)]
    few, many = pd.DataFrame(X1.toarray(), columns=names[:FEW]), pd.DataFrame(X2.toarray(), columns=names)
    model = fresh(VectorFlowRegressor()).partial_fit(few, Y1)
    with pytest.raises(ValueError, match="x0.* was at the place of .*x69"):
        model.partial_fit(many[names[::-1]], Y2)
    with pytest.raises(ValueError, match="X has no feature names, unlike"):
        model.partial_fit(X2, Y2)
    with pytest.raises(ValueError, match="X has feature names, unlike"):
        fresh(VectorFlowRegressor()).partial_fit(X1, Y1).partial_fit(many, Y2)
    model.partial_fit(many, Y2)
    assert model.feature_names_in_.tolist() == names
    chosen = fresh(VectorFlowRegressor(network=Linear()(Input(["x3", "x1"])))).partial_fit(few, Y1)
    chosen._take_columns(many)
    np.testing.assert_array_equal(chosen._raw(many), chosen._raw(many.assign(x50=0.0)))


def test_columns_that_are_selected_stay_or_an_error_names_the_root():
    model = fresh(VectorFlowRegressor(network=Linear()(Input(slice(-10, None))))).partial_fit(X1, Y1)
    with pytest.raises(ValueError, match=r"Input\(columns=slice\(-10, None, None\)\) would read other columns"):
        model.partial_fit(X2, Y2)
    groups = {"a": slice(0, 20), "b": slice(-20, None)}
    x = Input()
    network = Add()([Linear()(x), Linear()(Crosses([("a", "b")], groups, 64)(x))])
    with pytest.raises(ValueError, match="groups of Crosses.* would have other columns"):
        fresh(VectorFlowRegressor(network=network)).partial_fit(X1, Y1).partial_fit(X2, Y2)
    model = fresh(VectorFlowRegressor(network=Linear()(Input(slice(30, None))))).partial_fit(X1, Y1)
    assert model.partial_fit(X2, Y2).coefs_[0].shape == (MANY - 30, 1)


def test_what_cannot_grow_says_so():
    frozen = Linear()(Tanh()(Linear(3, init=0.1, frozen=True)(Input())))
    with pytest.raises(ValueError, match="Linear.* is frozen"):
        fresh(VectorFlowRegressor(network=frozen)).partial_fit(X1, Y1).partial_fit(X2, Y2)
    each = ElasticNet(np.full(FEW, 1e-4))
    with pytest.raises(ValueError, match="ElasticNet: alpha must be a number or of shape"):
        fresh(VectorFlowRegressor(penalty=each)).partial_fit(X1, Y1).partial_fit(X2, Y2)


@pytest.mark.parametrize("optimizer", ["ftrl", "adagrad"])
def test_sparsified_models_grow(optimizer):
    model = fresh(VectorFlowRegressor(optimizer=optimizer)).partial_fit(X1, Y1).sparsify()
    before = model.predict(X1)
    model._take_columns(X2)
    np.testing.assert_allclose(model.predict(widened(X1)), before, rtol=1e-6)
    assert model.partial_fit(X2, Y2).coef_.shape == (MANY,)


def test_sources_bring_more_columns_too(tmp_path):
    from sklearn_vectorflow.io import BatchSource

    one = fresh(VectorFlowRegressor()).partial_fit(X1, Y1)
    two = fresh(VectorFlowRegressor()).partial_fit(X1, Y1).partial_fit(X2, Y2)
    one.partial_fit(BatchSource(lambda: [(X2, Y2)]))
    np.testing.assert_array_equal(one.coef_, two.coef_)
    one.save(tmp_path / "model")
    np.testing.assert_array_equal(
        sklearn_vectorflow.load(tmp_path / "model").partial_fit(X2, Y2).coef_, two.partial_fit(X2, Y2).coef_
    )


# ---- classes -------------------------------------------------------------------------------

CLASSES1, CLASSES2 = SCORES1.argmax(axis=1), SCORES2.argmax(axis=1)
LINEAR = [
    {},
    {"optimizer": "adagrad"},
    {"optimizer": AdaGrad(rowwise=True), "alpha": 1e-4},
    {"optimizer": Adam(), "average": True},
    {"optimizer": Adam(rowwise=True)},
    {"optimizer": SGD(0.1), "average": 100, "penalty": [L1(1e-5), L2(1e-5)]},
    {"penalty": [L1(1e-4), L2(1e-4)]},
    {"hidden_layer_sizes": 6},
    {"hidden_layer_sizes": 6, "optimizer": "ftrl"},
    {"network": deep()},
    {"loss": "one_vs_rest"},
    {"loss": "hinge"},
    {"loss": "squared_hinge", "optimizer": "adagrad"},
    {"loss": "modified_huber"},
    {"loss": "multinomial"},
    {"loss": "sampled_softmax"},
    {"loss": "sampled_softmax", "optimizer": SGD(0.1), "average": True},
]


def begun(n_classes, names=None, **parameters):
    """A model of the first classes, or of some of them: those of uneven number come later, and lie between."""
    chosen = np.array({2: [1, 3], 3: [1, 3, 4]}[n_classes])
    some = np.isin(CLASSES1, chosen)
    model = VectorFlowClassifier(grow=True, random_state=0, **parameters)
    model.partial_fit(X1[some], CLASSES1[some], classes=chosen)
    return model.partial_fit(X1[some], CLASSES1[some])


def with_new(model, X, y):
    """A copy of a model with outputs for the classes of y, that has not been trained."""
    grown = pickle.loads(pickle.dumps(model))
    former = grown._take_classes(y, None)
    grown._grow_outputs(former, grown._data(X, y, None, reset=False))
    return grown


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("parameters", LINEAR, ids=str)
def test_odds_of_old_classes_stay(parameters, n_classes):
    model = begun(n_classes, **parameters)
    old = model.classes_
    grown = with_new(model, X1, CLASSES1)
    assert grown.classes_.tolist() == [0, 1, 2, 3, 4]
    assert grown.network_.n_outputs == 5
    raw = grown.decision_function(X1)
    before = model._raw(X1)
    softmax = parameters.get("loss", "multinomial") in ("multinomial", "sampled_softmax")
    if before.shape[1] == 1:  # the second class against the first
        before = np.hstack([-before, before]) * (0.5 if softmax else 1.0)
    np.testing.assert_allclose(raw[:, old], before, rtol=1e-6, atol=1e-6)
    if hasattr(model, "predict_proba") and parameters.get("loss") != "modified_huber":
        p = grown.predict_proba(X1)[:, old]
        np.testing.assert_allclose(p / p.sum(axis=1, keepdims=True), model.predict_proba(X1), atol=1e-6)
    new = np.setdiff1d(np.arange(5), old)
    assert np.ptp(raw[:, new], axis=0) == pytest.approx(0.0, abs=1e-12)  # which say the same of all rows


@pytest.mark.parametrize("parameters", LINEAR[:10], ids=str)
def test_new_classes_get_their_share(parameters):
    model = begun(3, **parameters)
    n_seen = 2 * np.isin(CLASSES1, [1, 3, 4]).sum()
    grown = with_new(model, X1, CLASSES1)
    raw = grown.decision_function(X1)
    share = np.array([np.sum(CLASSES1 == k) for k in (0, 2)]) / (n_seen + len(X1.indptr) - 1)
    level = np.mean(logsumexp(raw[:, [1, 3, 4]], axis=1))
    np.testing.assert_allclose(raw[0, [0, 2]], level + np.log(share / (1.0 - share.sum())), rtol=1e-4)


@pytest.mark.parametrize("penalty", [None, [L1(1e-4), L2(1e-4)]])
def test_the_next_step_is_taken_from_there(penalty):
    """FTRL works weights out of its sums, which have to be those of the new outputs."""
    grown, row = begun(2, penalty=penalty), np.flatnonzero(CLASSES1 == 3)[LAST]
    former = grown._take_classes(CLASSES1[row], [1, 3, 9])
    grown._grow_outputs(former, grown._data(X1[row], CLASSES1[row], None, reset=False))
    coef, intercept = grown.coef_.copy(), grown.intercept_.copy()
    grown.partial_fit(X1[row], CLASSES1[row])
    untouched = np.setdiff1d(np.arange(FEW), X1[row].indices)
    np.testing.assert_allclose(grown.coef_[:, untouched], coef[:, untouched], atol=1e-3)
    assert intercept[2] < -4.0  # of a class that nobody has seen
    np.testing.assert_allclose(grown.intercept_, intercept, atol=0.3)


@pytest.mark.parametrize("slot, parameters", [("slot2", {}), ("slot1", LINEAR[1]), ("slot2", LINEAR[3])])
def test_both_outputs_of_two_classes_have_seen_the_squares_of_the_one(slot, parameters):
    model = begun(2, **parameters)
    grown = with_new(model, X1, CLASSES1)
    before, now = (one.network_.parameters[0] for one in (model, grown))
    squares = before.record[:, getattr(before.layout, slot)]
    assert np.all(squares > 0)
    for k in (1, 3):
        np.testing.assert_array_equal(now.record[:, getattr(now.layout, slot) + k], squares)
    for k in (0, 2, 4):
        assert not now.record[:, getattr(now.layout, slot) + k].any()


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("parameters", LINEAR, ids=str)
def test_new_classes_are_learned(parameters, n_classes):
    model = begun(n_classes, **parameters)
    some, known = np.isin(CLASSES1, model.classes_), VectorFlowClassifier(random_state=0, **parameters)
    for _ in range(2):
        known.partial_fit(widened(X1[some]), CLASSES1[some], classes=np.arange(5))
    for _ in range(6):
        for one in (model, known):
            one.partial_fit(X2, CLASSES2)
    assert model.n_features_in_ == MANY
    assert model.predict(X2).dtype == CLASSES1.dtype
    assert model.score(X2, CLASSES2) > known.score(X2, CLASSES2) - 0.05


def test_classes_that_come_while_first_rows_are_kept():
    names = np.array(["b", "d", "a", "e", "cc"])
    y = names[np.sort(CLASSES1)]  # one after the other
    growing, known = (VectorFlowClassifier(grow=one, random_state=0) for one in (True, False))
    for start in range(0, 1_500, 100):
        some = slice(start, start + 100)
        growing.partial_fit(X1[some], y[some], classes=["b", "d"])
        growing = pickle.loads(pickle.dumps(growing))
        known.partial_fit(X1[some], y[some], classes=names)
        if start == 700:
            break
    seen = np.unique(y[:800])
    assert growing.classes_.tolist() == sorted({"b", "d", *seen})
    growing.partial_fit(X1[800:], y[800:])
    assert growing.classes_.tolist() == known.classes_.tolist() == sorted(names)
    known.partial_fit(X1[800:], y[800:])
    np.testing.assert_array_equal(growing.coef_, known.coef_)
    np.testing.assert_array_equal(growing.intercept_, known.intercept_)


def test_classes_may_be_declared():
    model = begun(2).partial_fit(X1[:10], np.full(10, 1), classes=[1, 3, 9])
    assert model.classes_.tolist() == [1, 3, 9]
    assert 0.0 < model.predict_proba(X1)[:, 2].max() < 0.01
    plain = VectorFlowClassifier().partial_fit(X1, CLASSES1, classes=range(5))
    with pytest.raises(ValueError, match="classes must be as on the first call"):
        plain.partial_fit(X1, CLASSES1, classes=range(6))
    with pytest.raises(ValueError, match="y has classes .*9.* which are not among"):
        plain.partial_fit(X1, np.full(1_500, 9))


def test_types_of_classes():
    model = begun(2)
    for y in (np.array(["1"]), np.array([True])):
        with pytest.raises(TypeError, match="y must hold classes of the same type as before"):
            model.partial_fit(X1[LAST], y)
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit(X1[LAST], np.array([np.nan]))
    model.partial_fit(X1[LAST], np.array([7.0]))
    assert model.classes_.dtype == int
    assert model.classes_.tolist() == [1, 3, 7]
    words = VectorFlowClassifier(grow=True).partial_fit(X1, np.where(CLASSES1 > 2, "no", "yes"), classes=["no", "yes"])
    assert words.partial_fit(X1[LAST], ["a longer one"]).classes_.tolist() == ["a longer one", "no", "yes"]


def test_labels_that_come_up():
    one, two = (SCORES1[:, :3] > 1.0).astype(int), (SCORES2 > 1.0).astype(int)
    for of in (np.asarray, sparse.csr_array):
        for loss in ("log_loss", "sampled_log_loss"):
            model = VectorFlowClassifier(loss=loss, grow=True, random_state=0)
            for start in range(0, 1_500, 500):
                model.partial_fit(X1[start : start + 500], of(one[start : start + 500]))
            before = pickle.loads(pickle.dumps(model)).decision_function(X1)
            grown = with_new(model, X1, of((SCORES1 > 1.0).astype(int)))
            raw = grown.decision_function(X1)
            np.testing.assert_array_equal(raw[:, :3], before)
            share = np.mean(SCORES1[:, 3:] > 1.0, axis=0) / 2  # of the rows of both
            np.testing.assert_allclose(raw[:, 3:], np.tile(np.log(share / (1.0 - share)), (1_500, 1)), rtol=1e-5)
            for _ in range(5):
                model.partial_fit(X2, of(two))
            found = model.predict(X2)
            found = found.toarray() if sparse.issparse(found) else found
            assert np.mean(found == two) > 0.9
            with pytest.raises(ValueError, match="y must have 5 labels as before, got 3"):
                model.partial_fit(X2, of(two[:, :3]))


def test_labels_that_come_while_first_rows_are_kept():
    one, two = (SCORES1[:, :3] > 1.0).astype(int), (SCORES1 > 1.0).astype(int)
    growing = VectorFlowClassifier(grow=True, random_state=0)
    known = VectorFlowClassifier(random_state=0)
    growing.partial_fit(X1[:300], one[:300]).partial_fit(X1[300:], two[300:])
    known.partial_fit(X1[:300], np.pad(one[:300], ((0, 0), (0, 2)))).partial_fit(X1[300:], two[300:])
    np.testing.assert_array_equal(growing.coef_, known.coef_)


def test_a_class_that_fills_a_block_gets_no_more_than_half():
    model = VectorFlowClassifier(grow=True, optimizer=SGD(1e-9)).partial_fit(X1[:2], [0, 1], classes=[0, 1])
    grown = with_new(model, X1, np.full(1_500, 2))
    assert grown.predict_proba(X1)[:, 2].mean() == pytest.approx(0.5, abs=0.01)


def test_models_without_intercepts_and_without_state():
    model = begun(3, fit_intercept=False)
    assert np.all(with_new(model, X1, CLASSES1).decision_function(X1)[:, [0, 2]] == 0.0)
    model = begun(2)
    model.network_.keep_state = False
    grown = with_new(model, X1, CLASSES1)
    assert not grown.network_.keep_state
    assert np.isfinite(grown.partial_fit(X1, CLASSES1).decision_function(X1)).all()


def own_loss(y, raw, weight):
    return float(np.sum(weight * (raw - y) ** 2)), 2 * weight * (raw - y)


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"network": factorization_machine(3)}, "FactorizationMachine.* can't have more outputs"),
        ({"network": Tanh()(Linear()(Input()))}, "Linear.* can't have more outputs: .* Call fit with all classes"),
        ({"network": Linear(1)(Input())}, "the loss needs 5 output"),
        ({"network": Linear(init=0.0, frozen=True)(Input())}, "Linear.* can't have more outputs"),
        ({"penalty": NonNegative()}, "weights with bounds cannot be extended"),
        ({"penalty": L2(1e-3, center=np.ones(FEW))}, "L2: center must be of shape"),
        ({"loss": own_loss}, "loss .* cannot take more of them. Call fit"),
    ],
)
def test_what_new_classes_cannot_be_given_to(parameters, message):
    model = begun(2, **parameters)
    before = model.decision_function(X1)
    with pytest.raises(ValueError, match=message):
        model.partial_fit(X1, CLASSES1)
    np.testing.assert_array_equal(model.decision_function(X1), before)


def test_several_heads_have_no_place_for_a_class():
    x = Input()
    model = begun(3, network=[Linear(1)(x), Linear()(x)])
    with pytest.raises(ValueError, match="there are 2 output nodes"):
        model.partial_fit(X1, CLASSES1)


@pytest.mark.parametrize("optimizer", ["ftrl", "adagrad"])
def test_bounded_weights_of_several_classes_grow(optimizer):
    model = begun(3, penalty=NonNegative(0.1), optimizer=optimizer)
    grown = with_new(model, X1, CLASSES1)
    np.testing.assert_array_equal(grown.coef_[[0, 2]], np.full((2, FEW), np.float32(0.1)))
    assert model.partial_fit(X1, CLASSES1).coef_.min() >= np.float32(0.1)


def test_growing_and_forgetting_together():
    model = begun(2, half_life=400, class_weight="balanced")
    for _ in range(3):
        model.partial_fit(X2, CLASSES2)
    assert model.network_._state.decays == 2  # the first of the three began anew, with the first rows
    assert model.score(X2, CLASSES2) > 0.8


def test_factorization_machines_of_several_outputs_take_columns():
    network = Add()([Linear()(Input()), FactorizationMachine(2)(Input())])
    model = fresh(VectorFlowRegressor(network=network)).partial_fit(X1, SCORES1[:, :2])
    before = model.predict(X1)
    model._take_columns(X2)
    np.testing.assert_array_equal(model.predict(widened(X1)), before)
