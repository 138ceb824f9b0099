"""Standard errors, tests and likelihoods of models at their optimum."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor
from sklearn_vectorflow.exact import inference as room
from sklearn_vectorflow.io import ArrowSource, BatchSource
from sklearn_vectorflow.losses import HuberLoss, MixtureDensity, TweedieLoss
from sklearn_vectorflow.penalties import NonNegative

rng = np.random.default_rng(0)
X = rng.normal(size=(600, 5)) * (rng.random((600, 5)) < 0.7)
ETA = X @ [0.5, -0.3, 0.2, 0.0, -0.6] + 0.3
WEIGHT = rng.integers(0, 4, size=600).astype(float)
LABEL = (ETA + rng.logistic(size=600) > 0).astype(int)
COUNT = rng.poisson(np.exp(ETA))
CASES = {
    "log_loss": (VectorFlowClassifier(), LABEL, "Binomial", {}),
    "squared_error": (VectorFlowRegressor(), ETA + rng.normal(size=600), "Gaussian", {}),
    "poisson": (VectorFlowRegressor(loss="poisson"), COUNT, "Poisson", {}),
    "gamma": (VectorFlowRegressor(loss="gamma"), rng.gamma(2.0, np.exp(ETA) / 2), "Gamma", {}),
    "tweedie": (
        VectorFlowRegressor(loss=TweedieLoss(1.5)),
        COUNT * rng.gamma(1.0, 1.0, size=600),
        "Tweedie",
        {"var_power": 1.5},
    ),
}


def exact(model, **params):
    return clone(model).set_params(solver="exact", alpha=0.0, random_state=0, **params)


def glm(y, family, weight=None, **params):
    sm = pytest.importorskip("statsmodels.api")
    link = {"link": sm.families.links.Log()} if family == "Gamma" else {}
    families = getattr(sm.families, family)(**params, **link)
    return sm.GLM(y, sm.add_constant(X), families, freq_weights=weight)


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["alike", "weighted"])
@pytest.mark.parametrize("name", CASES)
def test_errors_and_likelihoods_are_those_of_statsmodels(name, weight):
    model, y, family, params = CASES[name]
    model, other = exact(model).fit(X, y, weight), glm(y, family, weight, **params).fit(tol=1e-12)
    found = model.inference(X, y, weight)
    table = found.summary()
    for ours, theirs in (("coef", "params"), ("std_err", "bse"), ("z", "tvalues"), ("p", "pvalues")):
        assert_allclose(table[ours], getattr(other, theirs), rtol=1e-4, atol=1e-6)
    assert_allclose(table[["lower", "upper"]], other.conf_int(), rtol=1e-4, atol=1e-6)
    assert_allclose(found.std_errors(), other.bse, rtol=1e-5)
    assert_allclose(found.dispersion, other.scale, rtol=1e-6)
    if name != "tweedie" and not (weight is not None and name == "gamma"):
        assert_allclose(found.log_likelihood, other.llf, rtol=1e-6)
        assert_allclose(found.aic, other.aic, rtol=1e-6)


@pytest.mark.parametrize("name", ["log_loss", "squared_error", "poisson"])
def test_the_sandwich_is_that_of_statsmodels(name):
    model, y, family, params = CASES[name]
    model, other = exact(model).fit(X, y), glm(y, family, **params).fit(tol=1e-12, cov_type="HC0")
    assert_allclose(model.inference(X, y, covariance="sandwich").std_errors(), other.bse, rtol=1e-5)


@pytest.mark.parametrize("apart", [False, True], ids=["together", "apart"])
@pytest.mark.parametrize("covariance", ["model", "observed", "sandwich"])
@pytest.mark.parametrize("name", CASES)
def test_weights_count_how_often_a_row_was_seen(name, covariance, apart, monkeypatch):
    if apart:
        monkeypatch.setattr(room, "MOST_EXACT", 3)
    model, y, _, _ = CASES[name]
    repeated = np.repeat(np.arange(600), WEIGHT.astype(int))
    found = exact(model).fit(X, y, WEIGHT).inference(X, y, WEIGHT, covariance=covariance)
    many = exact(model).fit(X[repeated], y[repeated]).inference(X[repeated], y[repeated], covariance=covariance)
    columns = ["intercept", 0, 1, 2, 3, 4]
    assert_allclose(found.std_errors(columns), many.std_errors(columns), rtol=1e-5)
    assert_allclose(found.dispersion, many.dispersion, rtol=1e-6)
    assert found.n_parameters == many.n_parameters == 6


def test_the_dispersion_of_several_targets():
    y = np.column_stack([ETA, 2.0 * ETA, X[:, 0]])[:40] + rng.normal(size=(40, 3))
    model = exact(VectorFlowRegressor()).fit(X[:40], y)
    found = model.inference(X[:40], y)
    assert found.n_parameters == 18
    assert_allclose(found.dispersion, np.sum((y - model.predict(X[:40])) ** 2) / (3 * 40 - 18), rtol=1e-5)


def test_too_few_rows_for_a_dispersion():
    y = ETA[:6] + rng.normal(size=6)
    model = VectorFlowRegressor(solver="exact", alpha=1e-2, random_state=0).fit(X[:6], y)
    with pytest.warns(UserWarning, match="dispersion cannot be estimated from 6 targets and 6 parameters"):
        found = model.inference(X[:6], y)
    assert np.isnan(found.dispersion) and np.isnan(found.std_errors()).all()
    assert np.all(model.inference(X[:6], y, covariance="sandwich").std_errors() > 0)


@pytest.mark.parametrize("alpha", [0.0, 1e-3])
def test_parameters_that_others_make_up_for_are_not_counted(alpha):
    group = rng.integers(0, 4, size=600)
    rows = np.column_stack([np.eye(4)[group], X, X[:, 0]])  # the groups make up for the intercept
    model = VectorFlowClassifier(solver="exact", alpha=alpha, random_state=0).fit(rows, LABEL)
    assert model.inference(rows, LABEL).n_parameters == 9


def test_classes_are_those_of_statsmodels():
    sm = pytest.importorskip("statsmodels.api")
    y = np.digitize(ETA + rng.logistic(size=600), [-0.5, 1.0])
    model = exact(VectorFlowClassifier()).fit(X, y)
    found, other = model.inference(X, y), sm.MNLogit(y, sm.add_constant(X)).fit(disp=0, maxiter=100)
    assert_allclose((model.coef_[1:] - model.coef_[0]).T, other.params[1:], rtol=1e-4, atol=1e-5)
    assert_allclose([found.log_likelihood, found.aic, found.bic], [other.llf, other.aic, other.bic], rtol=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 1e-3])
def test_classes_apart_are_as_all_together(alpha, monkeypatch):
    y = np.digitize(ETA + rng.logistic(size=600), [-0.5, 1.0])
    model = VectorFlowClassifier(solver="exact", alpha=alpha, random_state=0).fit(X, y)
    together = model.inference(X, y)
    monkeypatch.setattr(room, "MOST_EXACT", 3)
    apart = model.inference(X, y)
    errors = apart.std_errors(["intercept", "x2"])  # of each, class by class
    assert_allclose(errors, together.std_errors().reshape(3, 6)[:, [0, 3]].T.ravel(), rtol=1e-6)
    assert apart.aic == together.aic


def test_no_error_of_a_column_that_another_makes_up_for(monkeypatch):
    rows = np.column_stack([X, X[:, 0]])
    model = exact(VectorFlowClassifier()).fit(rows, LABEL)
    together = model.inference(rows, LABEL).std_errors()
    monkeypatch.setattr(room, "MOST_EXACT", 3)
    apart = model.inference(rows, LABEL)
    assert_allclose(apart.std_errors(["x1"]), together[2], rtol=1e-5)
    with pytest.warns(UserWarning, match="There is no error of 'x5': it is a combination of other columns"):
        assert np.isnan(apart.std_errors(["x5"])).all()


@pytest.mark.parametrize("covariance", ["model", "sandwich"])
@pytest.mark.parametrize("name", ["log_loss", "gamma"])
def test_one_column_at_a_time_is_as_all_together(name, covariance, monkeypatch):
    model, y, _, _ = CASES[name]
    model = exact(model).fit(X, y)
    together = model.inference(X, y, covariance=covariance).std_errors()
    monkeypatch.setattr(room, "MOST_EXACT", 3)
    apart = model.inference(X, y, covariance=covariance)
    assert_allclose(apart.std_errors(["intercept", "x2", 4]), together[[0, 3, 5]], rtol=1e-6)
    with pytest.raises(ValueError, match="columns must be given where there are more than 3"):
        apart.std_errors()


def test_a_fit_that_meets_all_rows():
    """Neither errors nor likelihoods fail where residuals are zero or digits."""
    y = X @ [1.0, 2.0, 3.0, 4.0, 5.0]
    model = exact(VectorFlowRegressor()).fit(X, y)
    with pytest.warns(UserWarning, match="standard errors from the optimum"):  # of which single precision keeps less
        found = model.inference(X, y)
    assert np.all(found.std_errors() < 1e-5) and found.log_likelihood > 1_000


def test_columns_of_a_wide_matrix():
    wide = sparse.hstack([sparse.csr_array((600, 400_000)), X], format="csr")
    model, narrow = exact(VectorFlowClassifier()).fit(wide, LABEL), exact(VectorFlowClassifier()).fit(X, LABEL)
    found = model.inference(wide, LABEL)
    assert_allclose(
        found.std_errors(["intercept", 400_003]), narrow.inference(X, LABEL).std_errors()[[0, 4]], rtol=1e-5
    )
    assert np.isnan(found.std_errors([7])).all()
    assert found.n_parameters == 6


def test_classes_have_errors_each():
    rows, y = load_digits(n_class=3, return_X_y=True)
    rows = rows[:, [10, 20, 28, 36, 42]] / 16
    model = VectorFlowClassifier(solver="exact", alpha=1e-3, random_state=0).fit(rows, y)
    found = model.inference(rows, y)
    assert found.summary()["output"].tolist() == [label for label in "012" for _ in range(6)]
    assert np.all(found.std_errors() > 0)

    p, A, size = model.predict_proba(rows).astype(float), np.column_stack([np.ones(len(y)), rows]), 6
    full = np.zeros((18, 18))
    for a in range(3):
        for b in range(3):
            curvature = p[:, a] * ((a == b) - p[:, b])
            full[a * size : (a + 1) * size, b * size : (b + 1) * size] = (A.T * curvature) @ A
    full += np.diag(np.tile([0.0] + [1e-3 * len(y)] * 5, 3))
    assert_allclose(found.std_errors(), np.sqrt(np.diag(np.linalg.pinv(full, rcond=1e-10))), rtol=1e-4)
    probability = p[np.arange(len(y)), y]
    assert_allclose(found.log_likelihood, np.log(probability).sum(), rtol=1e-5)


def test_weights_that_a_corner_holds_have_no_error():
    sparse_model = VectorFlowClassifier(solver="exact", alpha=0.05, l1_ratio=1.0, random_state=0).fit(X, LABEL)
    errors = sparse_model.inference(X, LABEL).std_errors()[1:]
    assert 0 < np.isnan(errors).sum() < 5
    assert np.array_equal(np.isnan(errors), sparse_model.coef_[0] == 0)
    bounded = VectorFlowClassifier(solver="exact", penalty=NonNegative(), random_state=0).fit(X, LABEL)
    assert np.array_equal(np.isnan(bounded.inference(X, LABEL).std_errors()[1:]), bounded.coef_[0] == 0)


def test_a_source_says_the_same():
    def blocks():
        for start in range(0, 600, 100):
            yield X[start : start + 100], LABEL[start : start + 100]

    model = exact(VectorFlowClassifier()).fit(X, LABEL)
    streamed = model.inference(BatchSource(blocks, buffer_bytes=1_000)).std_errors()
    assert_allclose(streamed, model.inference(X, LABEL).std_errors(), rtol=1e-8)


def test_a_loss_that_is_no_likelihood_has_none():
    y = ETA + rng.normal(size=600)
    found = exact(VectorFlowRegressor(loss=HuberLoss(1.0))).fit(X, y).inference(X, y, covariance="sandwich")
    assert found.log_likelihood is None and found.aic is None and found.bic is None
    assert np.all(found.std_errors() > 0)


def test_other_rows_are_said_to_be_others():
    model = exact(VectorFlowClassifier()).fit(X, LABEL)
    with pytest.warns(UserWarning, match="standard errors from the optimum"):
        model.inference(X[:300], 1 - LABEL[:300])


def test_names_come_from_the_frame():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=["age", "dose", "weight", "height", "sex"])
    model = exact(VectorFlowClassifier()).fit(frame, LABEL)
    assert model.inference(frame, LABEL).summary(["dose"])["name"].tolist() == ["dose"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model: model.inference(X, LABEL, covariance="robust"), "covariance must be one of"),
        (lambda model: model.inference(X, LABEL).std_errors(["y"]), "there is no column 'y'"),
        (lambda model: model.inference(X, LABEL).std_errors([5]), r"must be in \[0, 5\)"),
        (lambda model: model.inference(X, LABEL).summary(confidence=1.0), "confidence must be in"),
    ],
)
def test_arguments_are_checked(call, message):
    with pytest.raises(ValueError, match=message):
        call(exact(VectorFlowClassifier()).fit(X, LABEL))


def test_the_loss_of_a_mixture_is_a_likelihood():
    y = ETA + rng.normal(size=600)
    loss = MixtureDensity(1)
    model = VectorFlowRegressor(loss=loss, solver="exact", alpha=1e-3, random_state=0).fit(X, y)
    expected = loss.log_density(y, model.predict_raw(X)).sum()
    assert_allclose(model.inference(X, y).log_likelihood, expected, rtol=1e-6)


def elsewhere(model):
    """Models that are not at an optimum, or no longer."""
    yield VectorFlowClassifier((3,), random_state=0).fit(X, LABEL)
    yield VectorFlowClassifier(random_state=0).fit(X, LABEL)
    yield clone(model).fit(X, LABEL).partial_fit(X[:1], LABEL[:1])
    yield clone(model).fit(X, LABEL).set_params(solver="sgd").fit(X, LABEL)


def test_inference_needs_an_optimum():
    for model in elsewhere(exact(VectorFlowClassifier())):
        assert not hasattr(model, "optimality_") and not hasattr(model, "n_passes_")
        with pytest.raises(ValueError, match="inference needs a model at its optimum"):
            model.inference(X, LABEL)


def test_inference_needs_rows_again_and_again():
    pa = pytest.importorskip("pyarrow")
    table = pa.table({**{f"x{k}": X[:, k] for k in range(5)}, "y": LABEL})
    model = exact(VectorFlowClassifier()).fit(ArrowSource(table, "y"))
    reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=100))
    with (
        pytest.warns(UserWarning, match="X can be read once"),
        pytest.raises(ValueError, match="inference needs a source that can be read more than once"),
    ):
        model.inference(ArrowSource(reader, "y", buffer_bytes=1_000, classes=[0, 1]))


def test_arguments_are_checked_before_rows_are_read():
    def blocks():
        raise AssertionError("a source was read")

    model = exact(VectorFlowClassifier()).fit(X, LABEL)
    with pytest.raises(ValueError, match="covariance must be one of"):
        model.inference(BatchSource(blocks), covariance="robust")
