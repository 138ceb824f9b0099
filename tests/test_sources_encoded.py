"""Sources behind an encoder in a pipeline: the model that the frame in memory gives."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from sklearn_vectorflow import VectorFlowClassifier
from sklearn_vectorflow.io import ArrowSource, BatchSource, CSRSource, ParquetSource, Source
from sklearn_vectorflow.preprocessing import FeatureCrosser, HashingEncoder, Numeric

pd = pytest.importorskip("pandas")

N_ROWS, BLOCK = 900, 100
RNG = np.random.default_rng(0)
FRAME = pd.DataFrame({"city": RNG.choice(["Rome", "Oslo", "Lima", "Bonn"], N_ROWS), "size": RNG.normal(3, 2, N_ROWS)})
Y = ((FRAME.city == "Rome") ^ (FRAME["size"] > 3)).to_numpy()
WEIGHT = RNG.uniform(0.5, 2, N_ROWS)
LEARNING = {"min_count": 3, "columns": {"city": "categorical", "size": Numeric("standard")}}


def pipeline(**options):
    model = VectorFlowClassifier(random_state=0, shuffle=False, max_iter=3, tol=None)
    return make_pipeline(HashingEncoder(n_bits=8, **options), model)


def fitted_in_memory(weight=None, **options):
    return pipeline(**options).fit(FRAME, Y, vectorflowclassifier__sample_weight=weight)


def blocks(*of_rows):
    for start in range(0, N_ROWS, BLOCK):
        rows = slice(start, start + BLOCK)
        yield FRAME[rows], *(values[rows] for values in of_rows)


def table(folder):
    path = folder / "rows.parquet"
    FRAME.assign(y=Y, w=WEIGHT).to_parquet(path, row_group_size=BLOCK)
    return path


SOURCES = {
    "function": lambda _: BatchSource(lambda: blocks(Y)),
    "list": lambda _: list(blocks(Y)),
    "arrow": lambda _: ArrowSource(FRAME.assign(y=Y), "y"),
    "parquet": lambda folder: ParquetSource(table(folder), "y", columns=["city", "size"]),
    "pandas from parquet": lambda folder: ParquetSource(table(folder), "y", columns=["city", "size"], frame="pandas"),
    "small buffer": lambda _: BatchSource(lambda: blocks(Y), buffer_bytes=2000),
    "cached": lambda folder: ParquetSource(
        table(folder), "y", columns=["city", "size"], cache=folder / "cache", buffer_bytes=2000
    ),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_a_pipeline_fits_and_predicts_sources_as_the_frame(tmp_path, kind):
    source, expected = SOURCES[kind](tmp_path), fitted_in_memory()
    fitted = pipeline().fit(source)
    np.testing.assert_array_equal(fitted[-1].coef_, expected[-1].coef_)
    np.testing.assert_array_equal(fitted.predict_proba(source), expected.predict_proba(FRAME))
    assert fitted.score(source) == expected.score(FRAME, Y) > 0.6
    assert list(fitted[0].feature_names_in_) == ["city", "size"]


def test_weights_come_from_the_source(tmp_path):
    expected = fitted_in_memory(WEIGHT)
    for source in (
        BatchSource(lambda: blocks(Y, WEIGHT)),
        ParquetSource(table(tmp_path), "y", sample_weight="w", columns=["city", "size"]),
    ):
        np.testing.assert_array_equal(pipeline().fit(source)[-1].coef_, expected[-1].coef_)
    with pytest.raises(ValueError, match="y must be None for a source"):
        pipeline().fit(BatchSource(lambda: blocks(Y)), Y)


@pytest.mark.parametrize("kind", SOURCES)
def test_an_encoder_learns_from_all_blocks(tmp_path, kind):
    source = SOURCES[kind](tmp_path)
    mine = HashingEncoder(**LEARNING).fit(source)
    theirs = HashingEncoder(**LEARNING).fit(FRAME)
    np.testing.assert_array_equal(mine._learned.sketch, theirs._learned.sketch)
    for name in ("mean", "scale"):
        np.testing.assert_allclose(getattr(mine.kinds_["size"], name), getattr(theirs.kinds_["size"], name), rtol=1e-12)
    again = HashingEncoder(**LEARNING).partial_fit(source).partial_fit(source)
    np.testing.assert_array_equal(again._learned.sketch, 2 * theirs._learned.sketch)
    names = HashingEncoder(collect_names=100).fit(source).transform(FRAME).indices
    assert HashingEncoder(collect_names=100).fit(source).feature_names_from(names[:2])[0] != []


class Counted(Source):
    """Frames that count how often they were read."""

    n_parts = N_ROWS // BLOCK

    def __init__(self):
        super().__init__(n_jobs=1)
        self.n_read, self.blocks = 0, list(BatchSource(lambda: blocks(Y)))

    def read(self, piece):
        self.n_read += 1
        return (self.blocks[piece],)


def test_blocks_are_encoded_when_they_are_read():
    source = Counted()
    encoder = HashingEncoder(n_bits=8).fit(source)
    assert source.n_read == 1  # nothing is learned
    encoded = encoder.transform(source)
    assert source.n_read == 1 and encoded.n_parts == source.n_parts
    rows = sparse.vstack([block.X for block in encoded])
    assert source.n_read == 1 + source.n_parts
    assert (rows != encoder.transform(FRAME)).nnz == 0
    encoder.set_params(n_bits=3).fit(FRAME)
    assert next(iter(encoded)).X.shape[1] == 2**8  # as the encoder was


def test_what_can_be_read_once_is_left_to_the_model():
    with pytest.warns(UserWarning, match="can be read once"):
        fitted = pipeline().fit(BatchSourceOnce())
    assert fitted[-1].n_iter_ == 1
    for options in (LEARNING, {"collect_names": 9}):
        with pytest.raises(ValueError, match="can be read once, and fit would use it up"):
            pipeline(**options).fit(blocks(Y))
    assert len(HashingEncoder(collect_names=9).partial_fit(blocks(Y))._learned.names) > 1
    expected = pipeline().set_params(vectorflowclassifier__max_iter=1).fit(FRAME, Y)
    once = pipeline().set_params(vectorflowclassifier__max_iter=1).fit(blocks(Y))
    np.testing.assert_array_equal(once[-1].coef_, expected[-1].coef_)


class BatchSourceOnce(BatchSource):
    once = True

    def __init__(self):
        super().__init__(lambda: blocks(Y), buffer_bytes=2000)


def damaged():
    yield from blocks(Y)
    raise OSError("gone")


def other_columns():
    yield from blocks(Y)
    yield FRAME[["size"]], Y


@pytest.mark.parametrize(
    "make, match",
    [
        (damaged, "gone"),
        (other_columns, r"block 9 \(rows from 900\): X lacks columns seen during fit: \['city'\]"),
        (lambda: iter([(FRAME[:0], Y[:0])]), "The source gave no rows"),
        (lambda: iter([(sparse.csr_matrix((3, 2)), Y[:3])]), "block 0.*Sparse data was passed"),
    ],
)
def test_a_source_that_fails_leaves_the_encoder_as_it_was(make, match):
    encoder = HashingEncoder(**LEARNING).fit(FRAME)
    before, expected = vars(encoder).copy(), encoder.transform(FRAME)
    for method in (encoder.fit, encoder.partial_fit):
        with pytest.raises((OSError, ValueError, TypeError), match=match):
            method(BatchSource(make))
        assert vars(encoder) == before
    assert (encoder.transform(FRAME) != expected).nnz == 0
    with pytest.raises((OSError, ValueError, TypeError), match=match):
        VectorFlowClassifier().fit(encoder.transform(BatchSource(make)))
    with pytest.raises(NotFittedError):
        HashingEncoder(**LEARNING).transform(BatchSource(make))


def test_sources_of_sparse_rows_are_no_frames():
    with pytest.raises(TypeError, match="Sparse data was passed"):
        HashingEncoder().fit(CSRSource(sparse.eye(10, format="csr", dtype=np.float32), y=np.ones(10)))


def test_streams_of_arrow_are_frames():
    pa = pytest.importorskip("pyarrow")
    reader = pa.table({"city": FRAME.city}).to_reader()
    assert (HashingEncoder().transform(reader) != HashingEncoder().transform(FRAME[["city"]])).nnz == 0


def test_sources_are_crossed_as_matrices():
    X = sparse.random(500, 20, 0.2, format="csr", dtype=np.float32, random_state=0)
    y = RNG.integers(0, 2, 500)
    crosser = FeatureCrosser([("a", "b")], {"a": slice(0, 9), "b": slice(9, 20)}, n_features=64)
    model = VectorFlowClassifier(random_state=0, shuffle=False, max_iter=2, tol=None)
    expected = make_pipeline(crosser, model).fit(X, y)
    dense = pd.DataFrame(X.toarray(), columns=[f"x{j}" for j in range(20)]).assign(y=y)
    for source in (CSRSource(X, y=y), [(X[:99], y[:99]), (X[99:], y[99:])], ArrowSource(dense, "y")):
        fitted = make_pipeline(crosser, model).fit(source)
        np.testing.assert_allclose(fitted[-1].coef_, expected[-1].coef_, rtol=1e-5, atol=1e-7)
        np.testing.assert_array_equal(fitted.predict(source), expected.predict(X))
