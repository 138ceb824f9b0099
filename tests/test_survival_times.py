"""Forms of y, and what is said of those that make no sense."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from sklearn_vectorflow import VectorFlowSurvivalEstimator
from sklearn_vectorflow.engine.losses import survival
from sklearn_vectorflow.targets import times
from sklearn_vectorflow.targets.times import parse

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
Surv = pytest.importorskip("sksurv.util").Surv

EVENT = np.array([True, False, True, True])
TIME = np.array([3.0, 5.0, 1.5, 2.0])
ENTRY = np.array([0.0, 1.0, 0.5, 1.9])
NAMED = {"event": EVENT, "time": TIME, "entry": ENTRY}
LOWER = np.array([1.0, 2.0, 0.0, 4.0])
UPPER = np.array([1.0, 3.0, 2.5, np.inf])

PLAIN = {
    "scikit-survival": Surv.from_arrays(EVENT, TIME),
    "any names": Surv.from_arrays(EVENT, TIME, name_event="death", name_time="days"),
    "structured, float32": np.array(list(zip(EVENT, TIME)), dtype=[("cens", "?"), ("t", "f4")]),
    "tuple": (EVENT, TIME),
    "tuple of lists": (EVENT.tolist(), TIME.tolist()),
    "integers": (EVENT.astype(int), TIME),
    "floats": (EVENT.astype(float), TIME),
    "dict": {"event": EVENT, "time": TIME},
    "dict with None": {"event": EVENT, "time": TIME, "entry": None},
    "pandas": pd.DataFrame({"time": TIME, "event": EVENT}),
    "polars": pl.DataFrame({"time": TIME, "event": EVENT}),
}


@pytest.mark.parametrize("y", PLAIN.values(), ids=PLAIN)
def test_forms_of_censored_times(y):
    times = parse(y, 4)
    assert_array_equal(times.event, EVENT)
    assert_array_equal(times.time, TIME)
    assert times.entry is None and times.upper is None


@pytest.mark.parametrize("form", [dict, pd.DataFrame, pl.DataFrame, lambda y: pd.DataFrame(y).to_records(index=False)])
def test_forms_with_entry_and_intervals(form):
    assert_array_equal(parse(form(NAMED)).entry, ENTRY)
    times = parse(form({"lower": LOWER, "upper": UPPER}))
    assert_array_equal(times.kind, [1, 2, 2, 0])
    assert_array_equal(times.time, LOWER)
    assert_array_equal(times.upper, [1.0, 3.0, 2.5, 4.0])


def changed(name, values, base=NAMED):
    return {**base, name: values}


INTERVALS = {"lower": LOWER, "upper": UPPER}
REFUSED = [
    ((EVENT + 0.5, TIME), r"event must be bool \(or 0 and 1\), got 1.5"),
    ((TIME, EVENT), "are event and time swapped"),
    ((TIME, TIME), "are event and time swapped"),
    ((EVENT + 1, TIME), "event must be bool"),
    ((EVENT, EVENT), "time must be numbers.*swapped"),
    ((EVENT, list("abcd")), "time must be numbers"),
    ((EVENT, [3.0, -5.0, 1.0, 1.0]), r"time must not be negative, got .*-5\.0.* in row 1"),
    ((EVENT, [3.0, np.nan, 1.0, 1.0]), "time must not be NaN, got .* in row 1"),
    ((EVENT, [3.0, np.inf, 1.0, 1.0]), "time must be finite, got .* in row 1"),
    ((EVENT, [3.0, 5.0, 1.0, 0.0]), "time must be greater than 0.* in row 3"),
    ((~EVENT & False, TIME), "all samples are censored"),
    ((EVENT[:3], TIME), "inconsistent numbers of samples"),
    ((EVENT, TIME[:, None]), "time must have one dimension"),
    (changed("entry", TIME), "entry must be before time"),
    (changed("entry", TIME + 1), "entry must be before time"),
    (changed("entry", ENTRY - 1), "entry must not be negative"),
    (changed("entry", ENTRY * np.nan), "entry must not be NaN"),
    (changed("when", TIME), "the known ones are"),
    ({"event": EVENT}, "needs event and time"),
    ({"lower": LOWER}, "lower and upper together"),
    (changed("time", TIME, INTERVALS), "lower and upper as well as"),
    (changed("lower", UPPER + 1, INTERVALS), "lower must be finite"),
    (changed("upper", LOWER - 0.5, INTERVALS), "upper must be greater than 0|swapped"),
    (
        changed("lower", LOWER + 9, {"lower": LOWER, "upper": np.minimum(UPPER, 5)}),
        "lower must not be greater than upper",
    ),
    (changed("lower", [0.0, 0.0, 0.0, 0.0], INTERVALS), "has no information"),
    (changed("entry", [1.0, 0.0, 0.0, 0.0], INTERVALS), "entry must be before"),
]


@pytest.mark.parametrize("y, message", REFUSED)
def test_what_makes_no_sense_is_refused(y, message):
    with pytest.raises(ValueError, match=message):
        parse(y)


@pytest.mark.parametrize("y", [TIME, np.column_stack([EVENT, TIME]), [1.0, 2.0], "time", 3, None, (EVENT, TIME, TIME)])
def test_other_things_are_refused(y):
    with pytest.raises(TypeError, match="y must be a structured array.*got"):
        parse(y)


def test_rows_may_all_be_censored_where_nothing_is_learned():
    assert not parse((~EVENT & False, TIME), all_censored=True).event.any()


def test_a_fitted_model_survives_bad_times():
    X = sparse.identity(4, format="csr")
    model = VectorFlowSurvivalEstimator("weibull").fit(X, (EVENT, TIME))
    before = model.predict(X)
    for y in [(EVENT, -TIME), (EVENT, TIME[:2]), TIME]:
        with pytest.raises((ValueError, TypeError)):
            model.fit(X, y)
        with pytest.raises((ValueError, TypeError)):
            model.partial_fit(X, y)
    assert_array_equal(model.predict(X), before)


def test_kinds_are_those_of_the_engine():
    assert survival.KINDS == {name: getattr(times, name) for name in ("CENSORED", "EVENT", "INTERVAL")}


def test_fields_with_the_names_of_event_and_time_may_be_in_any_order():
    y = np.array([(1, 3), (2, 1), (1, 2)], dtype=[("time", int), ("event", int)])
    times = parse(y, causes=True)
    assert np.array_equal(times.time, [1, 2, 1]) and np.array_equal(times.cause, [3, 1, 2])
