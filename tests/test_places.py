"""Sorted numbers: where some stand among others."""

import numpy as np
import pytest

from sklearn_vectorflow.engine.places import Marks, find, gather

TYPES = [np.int32, np.int64]


def some_numbers(rng, n, share, dtype):
    return np.flatnonzero(rng.random(n) < share).astype(dtype)


@pytest.mark.parametrize("own", TYPES)
@pytest.mark.parametrize("other", TYPES)
@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.9, 0.01), (0.01, 0.9), (0.0, 0.5), (0.5, 0.0), (1.0, 1.0)])
def test_numbers_are_found_among_others(own, other, shares):
    rng = np.random.default_rng(0)
    for n in (1, 7, 64, 1000):
        index, wanted = some_numbers(rng, n, shares[0], own), some_numbers(rng, n, shares[1], other)
        record = rng.random((len(index), 3), dtype=np.float32)
        table, at = np.zeros((n, 3), dtype=np.float32), np.full(n, -1)
        table[index], at[index] = record, np.arange(len(index))
        np.testing.assert_array_equal(find(index, wanted), at[wanted])
        marks = Marks(n)
        marks.add(index)
        for values, expected in ((record, table), (record[:, :2].copy(), table[:, :2])):
            np.testing.assert_array_equal(gather(index, values, wanted), expected[wanted])
            np.testing.assert_array_equal(marks.gather(index, values, wanted), expected[wanted])


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("n", [1, 63, 64, 65, 1000])
def test_marks_list_and_number_what_was_added(dtype, n):
    rng = np.random.default_rng(n)
    for size in (0, 1, 3 * n):
        marks, added = Marks(n), rng.integers(0, n, size).astype(dtype)
        marks.add(added[: size // 2])
        marks.add(added[size // 2 :])
        expected = np.unique(added)
        np.testing.assert_array_equal(marks.listed(), expected)
        assert marks.listed().dtype == np.int32
        every = np.arange(n, dtype=dtype)
        np.testing.assert_array_equal(marks.numbered(every), np.searchsorted(expected, every))


def test_marks_beyond_32_bits():
    marks, numbers = Marks(2**31 + 5), np.array([0, 2**31 - 1, 2**31, 2**31 + 4])
    marks.add(numbers)
    assert marks.listed().dtype == np.int64
    np.testing.assert_array_equal(marks.listed(), numbers)
    np.testing.assert_array_equal(marks.numbered(numbers), [0, 1, 2, 3])


def test_what_cannot_be_written_to_is_read():
    index, record = np.arange(5), np.ones((5, 2), dtype=np.float32)
    index.flags.writeable = record.flags.writeable = False
    assert gather(index, record, index).sum() == 10
    marks = Marks(5)
    marks.add(index)
    np.testing.assert_array_equal(marks.numbered(index), index)
