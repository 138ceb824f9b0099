"""HashingEncoder warns of whole numbers that look like ids, and of nothing else."""

import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from sklearn_vectorflow.preprocessing import HashingEncoder
from sklearn_vectorflow.preprocessing.encoding.frames import read_frame
from sklearn_vectorflow.preprocessing.encoding.values import Numbers

N = 20_000
RNG = np.random.default_rng(0)

IDS = {
    "random": RNG.integers(0, 10**6, N),
    "in order": np.sort(RNG.integers(0, 10**6, N)),
    "in turn": np.arange(N),
    "zipf": RNG.permutation(10**5)[np.minimum(RNG.zipf(1.3, N), 10**5) - 1],
    "missing": np.where(RNG.random(N) < 0.1, np.nan, RNG.integers(0, 10**6, N)),
    "offset": 10**9 + RNG.integers(0, 10**5, N),
    "few rows": RNG.integers(0, 10**6, 300),
}
NUMBERS = {
    "ages": RNG.integers(0, 100, N),
    "years": RNG.integers(1900, 2025, N),
    "days": RNG.integers(0, 366, N),
    "percent": RNG.integers(0, 101, N),
    "counts": RNG.poisson(40, N),
    "long counts": np.exp(RNG.normal(4, 1.5, N)).astype(int),
    "visits": RNG.geometric(0.001, N) // 10,
    "booleans": RNG.random(N) < 0.5,
    "fractions": RNG.normal(0, 10**6, N),
    "codes": RNG.choice(RNG.integers(0, 10**6, 50), N),
    "few rows": RNG.integers(0, 10**6, 50),
    "constant": np.zeros(N, int),
}


@pytest.mark.parametrize("values", IDS.values(), ids=IDS)
@pytest.mark.parametrize("columns", [None, ["user"]])
def test_ids_are_named_in_a_warning(values, columns):
    frame = pd.DataFrame({"user": values})
    with pytest.warns(UserWarning, match=r"Column 'user' of X holds whole numbers.*categorical.*numeric"):
        HashingEncoder(10, columns=columns).fit(frame)
    with pytest.warns(UserWarning, match="Column 'user'"):
        HashingEncoder(10, columns=columns).transform(pa.table(frame))


@pytest.mark.parametrize("values", NUMBERS.values(), ids=NUMBERS)
def test_quantities_are_not(values):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        HashingEncoder(10).fit_transform(pd.DataFrame({"x": values}))


@pytest.mark.parametrize("kind", ["numeric", "categorical"])
def test_nor_are_named_columns(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        HashingEncoder(10, columns={"user": kind}).fit_transform(pd.DataFrame({"user": IDS["random"]}))


def test_a_fitted_encoder_is_silent():
    frame = pd.DataFrame({"user": IDS["random"]})
    with pytest.warns(UserWarning):
        encoder = HashingEncoder(10).fit(frame)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoder.transform(frame)


def test_a_few_rows_of_a_long_column_are_read(monkeypatch):
    read, numbers = [], Numbers.numbers
    monkeypatch.setattr(Numbers, "numbers", lambda self, *span: read.append(span) or numbers(self, *span))
    with pytest.warns(UserWarning):
        HashingEncoder(10)._kinds_of(read_frame(pd.DataFrame({"user": IDS["random"]})))
    assert sum(stop - first for first, stop in read) <= 1024
