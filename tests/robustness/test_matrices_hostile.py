"""No sparse matrix, however corrupt, ends the process or is taken for another; the program is hostile_doors.py."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from sklearn_vectorflow import VectorFlowRegressor
from sklearn_vectorflow.io import Matrix
from sklearn_vectorflow.preprocessing import FeatureCrosser
from sklearn_vectorflow.validation.sparse import checked_csr

HERE = Path(__file__).parent
N_CASES = 1000


def test_every_door_refuses_corrupt_matrices_or_reads_them_right():
    program = [sys.executable, str(HERE / "hostile_doors.py"), "0", str(N_CASES)]
    ended = subprocess.run(program, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, (ended.stdout[-3000:], ended.stderr[-3000:])
    counts = {name: int(n) for name, n in re.findall(r"'([^']+)': (\d+)", ended.stdout)}
    assert counts["taken"] + counts["refused"] + counts.get("no memory", 0) == N_CASES
    for form in ("csr", "csc", "bsr", "coo", "dia", "dok", "lil"):
        assert counts[f"{form} taken"] > 5 < counts[f"{form} refused"]


def corrupt(form, array=False, **parts):
    kind = getattr(sparse, f"{form}_{'array' if array else 'matrix'}")
    X = kind(np.eye(4, 6, dtype=np.float32))
    for name, value in parts.items():
        setattr(X, name, value)
    return X


INTS = np.arange(4, dtype=np.int32)
WILD = np.array([0, 10**9, 10**9, 0, 0], dtype=np.int32)
CASES = {
    "row starts that end at zero, CSC": lambda: sparse.csc_matrix((np.ones(3), INTS[:3], [0, 10**9, 0]), shape=(3, 2)),
    "row starts that end at zero, BSR": lambda: sparse.bsr_matrix(
        (np.ones((3, 1, 1)), INTS[:3], [0, 10**9, 0]), shape=(2, 3)
    ),
    **{
        f"row starts that end at zero, CSR of {dtype}": lambda dtype=dtype: corrupt(
            "csr", indptr=WILD, data=np.ones(4, dtype=dtype)
        )
        for dtype in ("i4", "?", "f2", "u8", "f4", "f8")
    },
    "row starts that begin later": lambda: corrupt("csr", indptr=np.array([1, 1, 2, 3, 4], dtype=np.int32)),
    "row starts of counts that begin later": lambda: corrupt(
        "csr", indptr=np.array([1, 1, 2, 3, 4], dtype=np.int32), data=np.ones(4, int)
    ),
    "column starts that begin later": lambda: corrupt("csc", indptr=np.array([1, 1, 2, 3, 4, 4, 4], dtype=np.int32)),
    "negative rows, COO": lambda: corrupt("coo", coords=(INTS - 1, INTS)),
    "one row too many, COO": lambda: corrupt("coo", coords=(INTS[:3], INTS)),
    "wild offsets, DIA": lambda: corrupt("dia", offsets=np.array([2**64 - 1], dtype=np.uint64)),
    "an offset twice, DIA": lambda: corrupt("dia", offsets=np.array([1, 1]), data=np.ones((2, 4))),
    "more offsets than diagonals, DIA": lambda: corrupt("dia", offsets=np.array([0, 1], dtype=np.int32)),
}


@pytest.mark.parametrize("name", CASES)
def test_malformed_matrices_are_refused_before_scipy_touches_them(name):
    """In this process, which must survive; scipy reads out of bounds for most of them."""
    X = CASES[name]()
    y = np.arange(X.shape[0], dtype=float)
    with pytest.raises((ValueError, TypeError), match=r"X(\.indptr)? (is a malformed|must start)|indptr decreases"):
        VectorFlowRegressor(max_iter=1, tol=None).fit(X, y)


@pytest.mark.parametrize("place", [(10**9, 0), (0, 10**9), (-1, 0), (0, -7)])
def test_keys_outside_are_refused(place):
    X = corrupt("dok")
    X.setdefault(place, 1.0)
    with pytest.raises(ValueError, match="X is a malformed dok matrix: (rows|columns) must be in"):
        VectorFlowRegressor(max_iter=1, tol=None).fit(X, np.arange(4.0))


@pytest.mark.parametrize("column", [10**9, -7])
def test_columns_of_lists_outside_are_refused(column):
    X = corrupt("lil")
    X.rows[0].append(column)
    X.data[0].append(1.0)
    with pytest.raises(ValueError, match="X is a malformed lil matrix: columns must be in"):
        VectorFlowRegressor(max_iter=1, tol=None).fit(X, np.arange(4.0))


def test_lists_of_other_lengths_are_refused():
    X = corrupt("lil")
    X.rows[2].append(1)
    with pytest.raises(ValueError, match="a row has different numbers of columns and values"):
        checked_csr(X, "X")


def test_diagonals_beyond_the_matrix_hold_nothing():
    diagonals = np.arange(1.0, 13.0).reshape(3, 4)
    X = sparse.dia_array((diagonals, [0, 100, -1]), shape=(4, 6))
    np.testing.assert_array_equal(checked_csr(X, "X").toarray(), X.toarray())


@pytest.mark.parametrize("dtype", ["i1", "u2", "i8", "u8", "?", "f2", "g", ">f4", ">i8"])
def test_counts_are_read_as_floats(dtype):
    X = corrupt("csr", data=np.ones(4).astype(dtype))
    matrix = Matrix(X)
    np.testing.assert_array_equal(matrix.values.toarray(), np.eye(4, 6))
    assert matrix.values.dtype in (np.float32, np.float64)


@pytest.mark.parametrize("dtype", [np.int64, np.uint16, np.uint64])
def test_row_starts_of_another_type_than_columns_are_summed_and_split(dtype):
    """scipy sums repeated columns in place, and takes arrays of one type of integers only."""
    X = sparse.csr_matrix((np.ones(4, np.float32), np.array([1, 1, 0, 2], np.int32), np.array([0, 2, 4])), shape=(2, 3))
    X.indptr = X.indptr.astype(dtype)
    matrix = Matrix(X)
    np.testing.assert_array_equal(matrix.summed().values.toarray(), [[0, 2, 0], [1, 0, 1]])
    np.testing.assert_array_equal(matrix.take([1]).values.toarray(), [[1, 0, 1]])
    np.testing.assert_array_equal(matrix.sample().toarray(), [[0, 2, 0], [1, 0, 1]])


def test_row_starts_too_large_for_the_type_of_columns_are_not_cut():
    X = corrupt("csr", indptr=np.array([0, 2**32 + 1, 2, 3, 4]), data=np.ones(4, int))
    with pytest.raises(ValueError, match="indptr decreases or points beyond"):
        Matrix(X)


def test_entries_behind_the_last_row_are_not_touched():
    """A failed partial_fit puts back the weights of X's columns, and these are no columns."""
    model = VectorFlowRegressor().partial_fit(np.eye(4, 600, dtype=np.float32), np.arange(4.0))
    X = sparse.csr_matrix(np.eye(4, 600, dtype=np.float32))
    X.indices, X.data = np.append(X.indices, np.int32(10**9)), np.append(X.data, np.float32(1))
    model.partial_fit(X, np.arange(4.0))


def test_dense_arrays_become_what_the_engine_reads():
    whole = np.arange(6).reshape(2, 3)
    for values in (whole, np.asfortranarray(whole, dtype=float), whole.astype(">f8"), whole.astype(np.float16)):
        matrix = Matrix(values)
        assert matrix.values.flags.c_contiguous
        np.testing.assert_array_equal(matrix.values, whole)
    with pytest.raises(ValueError, match="X must have two dimensions"):
        Matrix(np.ones(3))


def test_no_number_is_no_count():
    X = sparse.lil_matrix((2, 3), dtype=int)
    X.rows[0], X.data[0] = [1], [np.nan]
    with pytest.raises(ValueError, match="a value of a matrix of int64 is NaN or infinite"):
        checked_csr(X, "X")


@pytest.mark.parametrize("columns", [range(-3, 5), range(20, 40)])
def test_groups_of_columns_that_are_not_there_are_refused(columns):
    with pytest.raises(ValueError, match="group 'b' has columns that X, with 30, does not have"):
        FeatureCrosser([("a", "b")], {"a": [7], "b": columns}).fit(np.ones((2, 30)))
