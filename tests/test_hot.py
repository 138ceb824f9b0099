"""The most frequent columns of a sample of rows."""

import numpy as np
import pytest
from scipy import sparse

from sklearn_vectorflow.io.matrix import Matrix
from sklearn_vectorflow.training.column_counts import hottest

pytestmark = pytest.mark.threads  # each thread needs a core of its own


def rows_of(columns, n_features, per_row=5):
    indptr = np.arange(0, len(columns) + 1, per_row)
    X = sparse.csr_matrix((np.ones(len(columns), np.float32), columns, indptr), shape=(len(indptr) - 1, n_features))
    X.sum_duplicates()
    return X


@pytest.mark.parametrize("n_features", [200, 5_000_000], ids=["counted", "sorted"])
@pytest.mark.parametrize("n_rows", [2000, 100_000])
def test_the_most_frequent_columns_come_first(n_rows, n_features):
    columns = (np.random.default_rng(0).geometric(0.15, n_rows * 5) - 1).clip(max=199)
    far_apart = columns * (n_features // 200)
    X = rows_of(far_apart, n_features)
    found, shares = hottest(Matrix(X), 8)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, np.arange(8) * (n_features // 200))
    np.testing.assert_allclose(shares, [np.mean(X[:, column].toarray() != 0) for column in found], atol=0.03)
    everything, _ = hottest(Matrix(X), 10**6)
    assert set(everything) <= set(far_apart)
    np.testing.assert_array_equal(everything[:8], found)


@pytest.mark.parametrize("n_rows", [1, 63, 64, 65, 9999, 10_000, 10_001, 10_063])
def test_any_number_of_rows_is_sampled(n_rows):
    X = rows_of(np.tile(np.arange(5), n_rows), 7)
    np.testing.assert_array_equal(np.sort(hottest(Matrix(X), 9)[0]), np.arange(5))


def test_rows_without_entries_have_no_hot_columns():
    for n_features in (3, 10**6):
        assert hottest(Matrix(sparse.csr_matrix((20_000, n_features), dtype=np.float32)), 4)[0].size == 0


def test_dense_rows_have_all_columns():
    columns, shares = hottest(Matrix(np.ones((3, 5), np.float32)), 4)
    np.testing.assert_array_equal(columns, np.arange(4))
    np.testing.assert_array_equal(shares, np.ones(4))
