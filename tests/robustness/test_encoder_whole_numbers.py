"""Whole numbers are the same categories whatever their type, and the encoder's output is sparse."""

import decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sklearn
from sklearn.pipeline import make_pipeline

from sklearn_vectorflow import VectorFlowClassifier
from sklearn_vectorflow.preprocessing import Categorical, FeatureCrosser, HashingEncoder

NUMBERS = [5, -3, 0, 2**40, 7, -(2**53)]
FLOATS = np.array(NUMBERS, dtype=np.float64)
MIXED = np.array([5, -3.0, np.float32(0), np.int64(2**40), decimal.Decimal("7.0"), float(-(2**53))], dtype=object)
FRAMES = {
    "int64": pd.DataFrame({"n": NUMBERS}),
    "float64": pd.DataFrame({"n": FLOATS}),
    "float32": pd.DataFrame({"n": FLOATS.astype(np.float32)}),
    "objects": pd.DataFrame({"n": MIXED}),
    "Int64": pd.DataFrame({"n": NUMBERS}).astype("Int64"),
    "Float64": pd.DataFrame({"n": NUMBERS}).astype("Float64"),
    "categories of ints": pd.DataFrame({"n": NUMBERS}).astype("category"),
    "categories of floats": pd.DataFrame({"n": FLOATS}).astype("category"),
    "pandas, Arrow ints": pd.DataFrame({"n": NUMBERS}).astype("int64[pyarrow]"),
    "pandas, Arrow floats": pd.DataFrame({"n": NUMBERS}).astype("float64[pyarrow]"),
    "polars ints": pl.DataFrame({"n": NUMBERS}),
    "polars floats": pl.DataFrame({"n": FLOATS}),
    "Arrow ints": pa.table({"n": NUMBERS}),
    "Arrow floats": pa.table({"n": FLOATS}),
    "Arrow, dictionary of ints": pa.table({"n": pa.array(NUMBERS).dictionary_encode()}),
    "Arrow, dictionary of floats": pa.table({"n": pa.array(FLOATS).dictionary_encode()}),
}


def encoded(frame, kind="categorical", missing="token"):
    return HashingEncoder(columns={"n": kind}, missing=missing).transform(frame)


def assert_same(one, other):
    assert one.shape == other.shape
    assert (one != other).nnz == 0


@pytest.mark.parametrize("name", FRAMES)
def test_whole_numbers_are_hashed_as_their_digits(name):
    strings = pd.DataFrame({"n": [str(number) for number in NUMBERS]})
    assert_same(encoded(FRAMES[name]), encoded(strings))
    encoder = HashingEncoder(10, columns={"n": "categorical"}, collect_names=20).fit(FRAMES[name])
    assert {one for some in encoder.feature_names_from(range(2**10)) for one in some} == {
        f"n={number}" for number in NUMBERS
    }


@pytest.mark.parametrize("build", [pd.DataFrame, pl.DataFrame, pa.table])
@pytest.mark.parametrize("missing", ["ignore", "token"])
def test_a_missing_value_changes_no_other_category(build, missing):
    whole, gap = build({"n": [5, 17, 9, 5]}), build({"n": [5, None, 9, 5]})
    one, other = encoded(whole, missing=missing), encoded(gap, missing=missing)
    assert_same(one[[0, 2, 3]], other[[0, 2, 3]])
    assert other[1].nnz == (missing == "token")


def test_row_groups_with_and_without_missing_values_agree():
    """pandas reads a row group of integers as integers, or as floats where one is missing."""
    table = pa.table({"n": [1, 2, 3, None, 2, 1]})
    pieces = [table[:3].to_pandas(), table[3:].to_pandas()]
    assert {frame["n"].dtype.kind for frame in pieces} == {"i", "f"}
    assert_same(encoded(pieces[0])[:2], encoded(pieces[1])[[2, 1]])


def test_a_model_serves_integers_that_became_floats():
    numbers = np.random.RandomState(0).randint(0, 40, 2000)
    y = numbers % 2
    frame = pd.DataFrame({"n": numbers})
    model = make_pipeline(HashingEncoder(columns={"n": "categorical"}), VectorFlowClassifier(random_state=0))
    model.fit(frame, y)
    later = pd.concat([frame, pd.DataFrame({"n": [np.nan]})], ignore_index=True)[:-1]
    assert later["n"].dtype == np.float64
    assert model.score(later, y) == model.score(frame, y) > 0.95


@pytest.mark.parametrize("number", [2.0**63, -(2.0**63), 1e22, 2.0**63 - 1024])
def test_large_whole_numbers_are_those_of_python(number):
    wanted = encoded(pd.DataFrame({"n": [str(int(number))]}))
    for frame in (pd.DataFrame({"n": [number]}), pd.DataFrame({"n": np.array([int(number)], dtype=object)})):
        assert_same(encoded(frame), wanted)
    if 0 < number < 2**64:
        assert_same(encoded(pd.DataFrame({"n": np.array([int(number)], dtype=np.uint64)})), wanted)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_other_numbers_in_the_column_change_no_whole_one(dtype):
    mixed = np.array([5, 0.5, np.inf, np.nan, -0.0, 8], dtype=dtype)
    wanted = encoded(pd.DataFrame({"n": ["5", "0.5", "inf", None, "0", "8"]}))
    assert_same(encoded(pd.DataFrame({"n": mixed})), wanted)


def test_tokens_that_are_whole_numbers():
    wanted = encoded(pl.DataFrame({"n": [["1", "2", "1"], ["3"]]}), "tokens")
    for lists in ([[1, 2, 1], [3]], [[1.0, 2.0, 1.0], [3.0]]):
        assert_same(encoded(pl.DataFrame({"n": lists}), "tokens"), wanted)
        assert_same(encoded(pd.DataFrame({"n": lists}), "tokens"), wanted)
        assert_same(encoded(pd.DataFrame({"n": [np.array(one) for one in lists]}), "tokens"), wanted)


def test_booleans_stay_words():
    wanted = encoded(pd.DataFrame({"n": ["True", None, "False"]}))
    for frame in (pd.DataFrame({"n": [True, None, False]}), pl.DataFrame({"n": [True, None, False]})):
        assert_same(encoded(frame), wanted)


def test_a_prefix_is_shared_by_whole_numbers_of_any_type():
    one = encoded(pd.DataFrame({"n": [3.0]}), Categorical("item:"))
    assert_same(one, encoded(pd.DataFrame({"n": [3]}), Categorical("item:")))


def test_decimals_of_any_size():
    items = [decimal.Decimal(text) for text in ("12.00", "1E+3", "0.5", "Infinity", "NaN", "sNaN", "1E+100000")]
    wanted = encoded(pd.DataFrame({"n": ["12", "1000", "0.5", "Infinity", None, None, "1E+100000"]}))
    assert_same(encoded(pd.DataFrame({"n": pd.Series(items, dtype=object)})), wanted)


# ---- codes of categories ---------------------------------------------------------------------


@pytest.mark.parametrize("code", [2, 100, 10**8])
@pytest.mark.parametrize("min_count", [0, 2])
def test_codes_of_categories_that_are_not_there_are_refused(code, min_count):
    """Arrow makes such a column where it is told not to look."""
    codes = pa.array([0, 1, code, 0], pa.int64())
    column = pa.DictionaryArray.from_arrays(codes, pa.array(["a", "b"]), safe=False)
    with pytest.raises(ValueError, match=f"Column 'c' of X holds the code {code} of a category, of which it has 2"):
        HashingEncoder(min_count=min_count).fit_transform(pa.table({"c": column}))


# ---- sparse output -------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_output_is_sparse_whatever_is_set(output):
    frame = pd.DataFrame({"n": [1, 2], "s": ["a", "b"]})
    wanted = HashingEncoder().fit_transform(frame)
    crosser = FeatureCrosser([("a", "b")], {"a": [0], "b": [1]}, 16)
    with sklearn.config_context(transform_output=output):
        assert_same(HashingEncoder().fit_transform(frame), wanted)
        assert_same(
            make_pipeline(HashingEncoder(), VectorFlowClassifier()).fit(frame, [0, 1])[0].transform(frame), wanted
        )
        assert crosser.fit_transform(np.ones((2, 2))).format == "csr"
