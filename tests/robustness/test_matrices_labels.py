"""Labels are 0 and 1 in every form, and classes are all there and of one type."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse

from sklearn_vectorflow import VectorFlowClassifier
from sklearn_vectorflow.io import BatchSource, ParquetSource

pytestmark = pytest.mark.filterwarnings("ignore:SampledLogLoss")  # it draws all of two labels

N_ROWS = 60
X = sparse.random(N_ROWS, 10, 0.4, format="csr", random_state=0, dtype=np.float32)
LABELS = np.column_stack([np.arange(N_ROWS) % 2, np.arange(N_ROWS) % 3 == 0]).astype(int)
MODEL = VectorFlowClassifier(max_iter=2, random_state=0)
FORMS = {
    "integers": np.asarray,
    "floats": lambda y: y.astype(float),
    "bytes of numbers": lambda y: y.astype(np.int16),
    "lists": lambda y: y.tolist(),
    "Fortran": np.asfortranarray,
    "pandas": pd.DataFrame,
    "polars": lambda y: pl.DataFrame(y, schema=["a", "b"]),
    **{form: lambda y, form=form: sparse.csr_array(y).asformat(form) for form in ("csr", "csc", "coo", "lil", "dok")},
}


def fitted():
    return VectorFlowClassifier(max_iter=2, random_state=0).partial_fit(X, LABELS)


WAYS = {
    "fit": lambda y: VectorFlowClassifier(max_iter=2).fit(X, y),
    "partial_fit": lambda y: VectorFlowClassifier(max_iter=2).partial_fit(X, y),
    "a later partial_fit": lambda y: fitted().partial_fit(X, y),
    "y_val": lambda y: VectorFlowClassifier(max_iter=2).fit(X, LABELS, X_val=X, y_val=y),
    "sampled": lambda y: VectorFlowClassifier(max_iter=2, loss="sampled_log_loss").fit(X, y),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("pair", [(-1, 1), (0, 255), (0, -1), (2, 3)])
def test_other_labels_than_0_and_1_are_refused(way, form, pair):
    wrong = np.where(LABELS, pair[1], pair[0])
    with pytest.raises(ValueError, match="values 0 and 1 only, got"):
        WAYS[way](FORMS[form](wrong))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("form", FORMS)
def test_labels_of_0_and_1_are_taken(way, form):
    assert WAYS[way](FORMS[form](LABELS)).multilabel_


@pytest.mark.parametrize("pair", [(-1, 1), (0, 255)])
def test_blocks_with_other_labels_are_refused(pair):
    wrong = np.where(LABELS, pair[1], pair[0])
    for use in (MODEL.fit, fitted().partial_fit):
        with pytest.raises(ValueError, match="values 0 and 1 only, got"):
            use([(X[:30], LABELS[:30]), (X[30:], wrong[30:])])


LACKING = LABELS.astype(object)
LACKING[7, 1] = None


@pytest.mark.parametrize("way", [*WAYS, "score", "a block", "a list in a block"])
@pytest.mark.parametrize("missing", [None, pd.NA])
def test_a_missing_label_is_named(way, missing):
    wrong = np.where(LACKING == None, missing, LACKING)  # noqa: E711
    ways = {
        **WAYS,
        "score": lambda y: fitted().score(X, y),
        "a block": lambda y: MODEL.fit([(X, y)]),
        "a list in a block": lambda y: MODEL.fit([(X, y.tolist())]),
    }
    with pytest.raises(ValueError, match="y must have a value of each label for each row, but that of row 7 is"):
        ways[way](wrong)


def test_lists_of_labels_in_blocks_have_as_many_rows_as_x():
    assert MODEL.fit([(X, LABELS.tolist())]).multilabel_


# ---- classes ----------------------------------------------------------------------------

NAMES = np.array(["a", "b"], dtype=object)[np.arange(N_ROWS) % 2]


def with_entry(item, names=NAMES):
    names = names.copy()
    names[7] = item
    return names


MISSING = {
    "NaN": with_entry(np.nan),
    "None": with_entry(None),
    "NA": pd.Series(with_entry(None), dtype="string"),
    "NaN in a list": with_entry(np.nan).tolist(),
    "None in a list": with_entry(None).tolist(),
    "None among integers": with_entry(None, np.arange(N_ROWS).astype(object) % 2),
    "a missing category": pd.Series(with_entry(None), dtype="category"),
    "null": pl.Series(with_entry(None).tolist()),
    "NaT": with_entry("NaT", np.repeat(np.array(["2020-01-01", "2021-01-01"], dtype="M8[D]"), N_ROWS // 2)),
}


@pytest.mark.parametrize("name", MISSING)
def test_a_missing_class_is_named(name):
    y = MISSING[name]
    uses = [lambda: MODEL.fit(X, y)]
    if name not in ("None among integers", "NaT"):
        uses.append(lambda: VectorFlowClassifier().partial_fit(X, y, classes=["a", "b"]))
    if isinstance(y, np.ndarray):
        uses.append(lambda: MODEL.fit([(X[:30], y[:30]), (X[30:], y[30:])]))
    for use in uses:
        with pytest.raises(ValueError, match="y must have a class for each row, but that of row 7 is missing"):
            use()


@pytest.mark.parametrize("name", ["NaN", "None", "None in a list", "a missing category"])
def test_a_missing_class_is_named_by_score(name):
    model = VectorFlowClassifier(max_iter=2, random_state=0).fit(X, NAMES)
    with pytest.raises(ValueError, match="y must have a class for each row, but that of row 7 is missing"):
        model.score(X, MISSING[name])


@pytest.mark.parametrize("buffer_bytes", [2**28, 100])
def test_numbers_are_not_taken_for_strings_of_another_block(buffer_bytes):
    """NumPy would write NaN as the class "nan"."""
    blocks = [(X[:30], NAMES[:30].astype(str)), (X[30:], np.where(np.arange(30) < 9, np.nan, 1.0))]
    for order in (blocks, blocks[::-1]):
        with pytest.raises((TypeError, ValueError), match="numbers in some and strings in others|contains NaN"):
            MODEL.fit(BatchSource(lambda order=order: order, buffer_bytes=buffer_bytes))


def test_classes_of_two_types_are_named():
    y = with_entry(1)
    for use in (
        lambda: MODEL.fit(X, y),
        lambda: VectorFlowClassifier().partial_fit(X, NAMES, classes=["a", "b"]).partial_fit(X, y),
        lambda: MODEL.fit([(X, y)]),
    ):
        with pytest.raises(TypeError, match="y must hold classes of one type, got int and str"):
            use()


@pytest.mark.parametrize("dtype", ["S1", object])
def test_bytes_are_no_classes(dtype):
    y = np.array([b"a", b"\xff"], dtype=dtype)[np.arange(N_ROWS) % 2]
    for use in (
        lambda: MODEL.fit(X, y),
        lambda: VectorFlowClassifier().partial_fit(X, y, classes=y[:2]),
        lambda: MODEL.fit([(X, y)]),
    ):
        with pytest.raises(TypeError, match="y holds bytes, which cannot be classes"):
            use()


def test_bytes_in_a_file_are_named(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    table = pa.table({"x": np.arange(4.0), "y": pa.array([b"a", b"\xff"] * 2, pa.binary())})
    pq.write_table(table, tmp_path / "rows.parquet")
    with pytest.raises(ValueError, match="column 'y' holds bytes that are not text"):
        MODEL.fit(ParquetSource(tmp_path / "rows.parquet", y="y"))
