"""Standard errors, tests and likelihoods of models at their optimum."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.datasets import load_digits

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor
from sklearn_vectorflow.exact import inference as room
from sklearn_vectorflow.io import BatchSource
from sklearn_vectorflow.losses import HuberLoss, TweedieLoss
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
    return model.set_params(solver="exact", alpha=0.0, random_state=0, **params)


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


def test_nets_have_no_inference():
    model = VectorFlowClassifier((3,), random_state=0).fit(X, LABEL)
    with pytest.raises(ValueError, match="inference needs a linear model"):
        model.inference(X, LABEL)
