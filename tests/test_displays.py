"""Displays draw what estimators say, on axes given or new ones."""

import sys

import numpy as np
import pytest
from scipy import sparse

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor, VectorFlowSurvivalEstimator
from sklearn_vectorflow.inspection import LossCurveDisplay, SurvivalCurvesDisplay, TopFeaturesDisplay

X = sparse.random(200, 30, 0.2, format="csr", dtype=np.float32, random_state=0)
Y = np.asarray(X @ np.sin(np.arange(30)))
CLASSES = np.array(["low", "middle", "high"])[np.digitize(Y, np.quantile(Y, [0.3, 0.6]))]
SMALL = {"max_iter": 4, "tol": None, "random_state": 0}
SURVIVAL = np.digitize(Y, [0.0]) > 0, np.exp(Y)


@pytest.fixture
def plt():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


def test_losses_of_training_and_validation(plt):
    model = VectorFlowClassifier(early_stopping=True, **SMALL).fit(X, Y > 0)
    display = LossCurveDisplay.from_estimator(model, name="net", linewidth=3)
    training, validation = display.lines_
    np.testing.assert_array_equal(training.get_xdata(), [1, 2, 3, 4])
    np.testing.assert_array_equal(training.get_ydata(), model.loss_curve_)
    np.testing.assert_array_equal(validation.get_ydata(), -np.array(model.validation_scores_))
    assert training.get_linewidth() == 3
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["net, training", "net, validation"]
    alone = LossCurveDisplay.from_estimator(VectorFlowClassifier(**SMALL).fit(X, Y > 0), ax=plt.figure().add_subplot())
    assert [line.get_label() for line in alone.lines_] == ["training"]
    assert display.figure_ is not alone.figure_


@pytest.mark.parametrize("kind", ["survival", "cumulative_hazard"])
@pytest.mark.parametrize("distribution", ["weibull", "cox", "discrete"])
def test_survival_curves(plt, distribution, kind):
    model = VectorFlowSurvivalEstimator(distribution, **SMALL).fit(X, SURVIVAL)
    display = SurvivalCurvesDisplay.from_estimator(model, X[:3], labels=["a", "b", "c"], kind=kind)
    assert [line.get_label() for line in display.lines_] == ["a", "b", "c"]
    times = np.linspace(0.1, 2, 5)
    curves = getattr(model, f"predict_{kind}_function")(X[:3])
    for line, curve in zip(display.lines_, curves):
        np.testing.assert_allclose(line.get_ydata(), curve(line.get_xdata()))
        assert line.get_xdata()[0] == 0 and line.get_xdata()[-1] == model.unique_times_[-1]
        assert line.get_drawstyle() == ("default" if distribution == "weibull" else "steps-post")
        between = np.linspace(0, model.unique_times_[-1], 1_000)
        drawn = np.interp(between, line.get_xdata(), line.get_ydata())
        if distribution != "weibull":
            drawn = line.get_ydata()[np.searchsorted(line.get_xdata(), between, side="right") - 1]
        near = 0.01 * drawn.max() if distribution == "weibull" else 1e-6
        np.testing.assert_allclose(drawn, curve(between), rtol=0, atol=near)  # what is drawn between the points
    moved = SurvivalCurvesDisplay.from_estimator(
        model, X[:3], kind=kind, times=times, offset=[0.5, 1.0, -1.0], ax=plt.figure().add_subplot()
    )
    known = getattr(model, f"predict_{kind}_function")(X[:3], offset=[0.5, 1.0, -1.0])
    np.testing.assert_allclose(moved.values, [curve(times) for curve in known])
    few = SurvivalCurvesDisplay.from_estimator(model, X[:1], times=times, kind=kind, color="k")
    np.testing.assert_array_equal(few.times, times)
    np.testing.assert_allclose(few.lines_[0].get_ydata(), curves[0](times))
    assert few.ax_.get_legend() is None
    again = display.plot(few.ax_)
    assert again.ax_ is few.ax_ and len(few.ax_.lines) == 4


def test_largest_weights(plt):
    model = VectorFlowClassifier(**SMALL).fit(X, CLASSES)
    table = model.top_features(5, "low")
    display = TopFeaturesDisplay.from_estimator(model, 5, output="low")
    np.testing.assert_array_equal([bar.get_width() for bar in display.bars_], table["weight"])
    assert [text.get_text() for text in display.ax_.get_yticklabels()] == list(table["name"])
    assert display.ax_.yaxis_inverted()
    assert display.ax_.get_xlabel() == "Weight for low"
    colors = {tuple(bar.get_facecolor()) for bar in display.bars_}
    assert len(colors) == 1 + (len(set(np.sign(table["weight"]))) > 1)
    plain = TopFeaturesDisplay.from_estimator(VectorFlowRegressor(**SMALL).fit(X, Y), ax=display.ax_, color="g")
    assert plain.ax_ is display.ax_ and plain.ax_.get_xlabel() == "Weight" and len(plain.bars_) == 20


def test_what_cannot_be_drawn(plt):
    model = VectorFlowClassifier(**SMALL).fit(X, CLASSES)
    with pytest.raises(ValueError, match=r"output must be one of \['high', 'low', 'middle'\]"):
        TopFeaturesDisplay.from_estimator(model)
    with pytest.raises(TypeError, match="must predict survival functions, got VectorFlowClassifier"):
        SurvivalCurvesDisplay.from_estimator(model, X)
    survival = VectorFlowSurvivalEstimator(**SMALL).fit(X, SURVIVAL)
    with pytest.raises(ValueError, match="one entry for each of the 2 rows of X, got 1"):
        SurvivalCurvesDisplay.from_estimator(survival, X[:2], labels=["a"])
    with pytest.raises(ValueError, match="kind must be one of"):
        SurvivalCurvesDisplay.from_estimator(survival, X[:2], kind="hazard")
    with pytest.raises(ValueError, match="not fitted"):
        LossCurveDisplay.from_estimator(VectorFlowClassifier())


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    for display in (LossCurveDisplay([1.0]), SurvivalCurvesDisplay([0], [[1]]), TopFeaturesDisplay(["a"], [1.0])):
        with pytest.raises(ImportError, match=rf"{type(display).__name__}.plot needs matplotlib: pip install"):
            display.plot()
