"""HashingEncoder: against FeatureHasher and HashingVectorizer, over kinds of frames, columns and threads."""

import ctypes
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction import FeatureHasher
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.utils import murmurhash3_32
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_vectorflow import VectorFlowClassifier
from sklearn_vectorflow.engine.text import hashing as engine
from sklearn_vectorflow.preprocessing import Categorical, HashingEncoder, Numeric, Text, Tokens
from sklearn_vectorflow.preprocessing.encoding import encoder as encoder_module
from sklearn_vectorflow.preprocessing.encoding.plan import PIECE

pa = pytest.importorskip("pyarrow")
pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")

N_ROWS = 500
RNG = np.random.RandomState(0)
WORDS = np.array(
    ["", "a", "Rome", "São Paulo", "東京", "long enough for a buffer of its own", "x" * 40, "😀"], dtype=object
)
FRAME = pd.DataFrame(
    {
        "city": RNG.choice(WORDS, N_ROWS),
        "ad": RNG.randint(0, 10_000, N_ROWS).astype(str).astype(object),
        "price": RNG.randn(N_ROWS).round(1),
        "clicks": RNG.randint(0, 3, N_ROWS),
        "new": RNG.rand(N_ROWS) < 0.5,
    }
)
TEXTS = [
    "The cat, the CAT & the_dog!",
    "",
    "a I",
    "Ünïcode straße ΔΩ 東京 tower 42",
    "x-ray café\u0301 co-op\ttab",
    "Ⱥ" * 30,
]


FRAMES = {
    "pandas": lambda frame: frame,
    "pandas, nullable": lambda frame: frame.convert_dtypes(),
    "pandas, string": lambda frame: frame.astype({"city": "string[python]", "ad": "category"}),
    "pandas, Arrow": lambda frame: frame.convert_dtypes(dtype_backend="pyarrow"),
    "polars": lambda frame: pl.DataFrame({name: frame[name].tolist() for name in frame}),
    "polars, categories": lambda frame: pl.DataFrame(
        {name: frame[name].tolist() for name in frame}, schema_overrides={"city": pl.Categorical}
    ),
    "Arrow": pa.Table.from_pandas,
    "Arrow, one batch": lambda frame: pa.Table.from_pandas(frame).to_batches()[0],
    "Arrow, chunks": lambda frame: pa.concat_tables([pa.Table.from_pandas(part) for part in (frame[:7], frame[7:])]),
    "Arrow, a slice": lambda frame: pa.Table.from_pandas(pd.concat([frame[:3], frame], ignore_index=True)).slice(3),
}


def expected(frame, n_bits=20, **params):
    rows = frame.to_dict("records")
    X = FeatureHasher(2**n_bits, dtype=np.float32, **params).transform(rows)
    X.eliminate_zeros()
    return sparse.csr_matrix(X)


def assert_same(X, Y):
    assert X.shape == Y.shape
    assert X.dtype == Y.dtype == np.float32
    assert X.indices.dtype == X.indptr.dtype == np.int32
    assert X.has_canonical_format
    np.testing.assert_array_equal(X.indptr, Y.indptr)
    np.testing.assert_array_equal(X.indices, Y.indices)
    np.testing.assert_allclose(X.data, Y.data, rtol=1e-6)


# ---- hashes -------------------------------------------------------------------------------


@given(st.binary(max_size=40), st.binary(max_size=12), st.integers(0, 2**32 - 1))
def test_murmur3_is_that_of_scikit_learn(text, prefix, seed):
    assert engine.murmur3(text, prefix, seed) == murmurhash3_32(prefix + text, seed, positive=True)


LAYOUTS = {
    "offsets": lambda strings: pa.table({"c": pa.array(strings, pa.string())}),
    "wide offsets": lambda strings: pa.table({"c": pa.array(strings, pa.large_string())}),
    "views": lambda strings: pa.table({"c": pa.array(strings, pa.string_view())}),
    "objects": lambda strings: pd.DataFrame({"c": pd.Series(strings, dtype=object)}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("prefix", ["", "a", "bc", "def", "ghij", "long=", "long é "])
def test_strings_of_every_length_are_hashed_as_one_by_one(layout, prefix):
    strings = ["0123456789" * 4] * 200 + [None, *WORDS.tolist()]  # a block of long ones, then all lengths
    strings += [("xyzé" * 20)[:n] for n in range(41) for _ in range(3)]
    frame = LAYOUTS[layout](strings)
    X = HashingEncoder(30, columns={"c": Categorical(prefix)}, missing="token").transform(frame)
    features = ["c=<missing>" if string is None else prefix + string for string in strings]
    assert_same(X, FeatureHasher(2**30, input_type="string", dtype=np.float32).transform([[item] for item in features]))


# ---- against FeatureHasher ----------------------------------------------------------------


@pytest.mark.parametrize("kind", FRAMES)
def test_every_frame_gives_the_matrix_of_feature_hasher(kind):
    assert_same(HashingEncoder().transform(FRAMES[kind](FRAME)), expected(FRAME))


@pytest.mark.parametrize("n_bits", [1, 3, 10, 30])
@pytest.mark.parametrize("alternate_sign", [True, False])
def test_collisions_and_signs_are_those_of_feature_hasher(n_bits, alternate_sign):
    encoder = HashingEncoder(n_bits, alternate_sign=alternate_sign)
    assert_same(encoder.transform(FRAME), expected(FRAME, n_bits, alternate_sign=alternate_sign))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=5)), min_size=1, max_size=20), st.text(max_size=6))
def test_any_unicode(rows, name):
    frame = pd.DataFrame(rows, columns=[name, name + "'"], dtype=object)
    wanted = expected(frame, 12)
    frames = [frame]
    if "\0" not in name:
        frames.append(pl.DataFrame({column: frame[column].tolist() for column in frame}))
    if not any("\0" in value for row in rows for value in row):  # where pandas' categories of strings end
        frames.append(frame.astype("category"))
    for X in frames:
        assert_same(HashingEncoder(12).transform(X), wanted)


def test_wide_rows():
    words, names = RNG.randint(0, 50, (30, 100)).astype(str).astype(object), [f"c{j}" for j in range(100)]
    frame = pd.DataFrame(words, columns=names)
    assert_same(HashingEncoder(7).transform(frame), expected(frame, 7))


@pytest.mark.parametrize("dtype", [object, str])
def test_arrays(dtype):
    X = RNG.choice(["a", "bc", "def"], (20, 3)).astype(dtype)
    assert_same(HashingEncoder().transform(X), expected(pd.DataFrame(X, columns=["x0", "x1", "x2"]).astype(object)))


@pytest.mark.parametrize("values", [[3, -17, 2**40], [-(2**63), 2**63 - 1, 0], [0.5, 1e300, 3.0], [True, False, True]])
def test_numbers_as_categories(values):
    frame = pd.DataFrame({"n": values})
    strings = pd.DataFrame({"n": [str(int(n) if isinstance(n, float) and n.is_integer() else n) for n in values]})
    for X in (frame, pl.DataFrame({"n": values})):
        assert_same(HashingEncoder(columns={"n": "categorical"}).transform(X), expected(strings))


# ---- lists and texts ----------------------------------------------------------------------

LISTS = [["a", "b", "a"], [], ["東京"], ["x" * 30, "b"]] * 3


@pytest.mark.parametrize("build", [
    lambda lists: pd.DataFrame({"tags": lists}),
    lambda lists: pl.DataFrame({"tags": lists}),
    lambda lists: pl.DataFrame({"tags": lists}, schema={"tags": pl.List(pl.Categorical)}),
    lambda lists: pl.DataFrame({"tags": [["z"], *lists]})[1:],
])  # fmt: skip
def test_lists_are_tokens(build):
    X = HashingEncoder(columns={"tags": Tokens(prefix="")}).transform(build(LISTS))
    assert_same(X, sparse.csr_matrix(FeatureHasher(2**20, input_type="string", dtype=np.float32).transform(LISTS)))
    named = [[f"tags={token}" for token in tokens] for tokens in LISTS]
    wanted = FeatureHasher(2**20, input_type="string", dtype=np.float32).transform(named)
    assert_same(HashingEncoder().transform(build(LISTS)), sparse.csr_matrix(wanted))


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("ngram_range", [(1, 1), (1, 3), (2, 2)])
@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_texts_are_those_of_hashing_vectorizer(frame, ngram_range, lowercase):
    vectorizer = HashingVectorizer(
        n_features=2**20, norm=None, dtype=np.float32, ngram_range=ngram_range, lowercase=lowercase
    )
    encoder = HashingEncoder(columns={"t": Text(ngram_range, lowercase, prefix="")})
    wanted = vectorizer.transform(TEXTS)
    assert_same(encoder.transform(frame({"t": TEXTS})), sparse.csr_matrix(wanted))


@settings(deadline=None, max_examples=100)
@given(st.lists(st.text(st.characters(exclude_characters="İΣ", exclude_categories=["Cs"])), min_size=1, max_size=5))
def test_words_of_any_script(texts):
    wanted = HashingVectorizer(n_features=2**20, norm=None, dtype=np.float32).transform(texts)
    encoder = HashingEncoder(columns={"t": Text(prefix="")})
    assert_same(encoder.transform(pl.DataFrame({"t": texts})), sparse.csr_matrix(wanted))


# ---- numbers ------------------------------------------------------------------------------


def value_of(kind, values):
    encoder = HashingEncoder(columns={"v": kind}, alternate_sign=False)
    return encoder.fit_transform(pd.DataFrame({"v": values})).toarray().sum(1)


def test_transforms_of_numbers():
    values = np.array([-3.0, 0.0, 2.5, np.nan])
    np.testing.assert_allclose(value_of(Numeric(), values), [-3, 0, 2.5, 0])
    np.testing.assert_allclose(value_of(Numeric("log1p"), values), [-np.log(4), 0, np.log(3.5), 0], rtol=1e-6)
    np.testing.assert_allclose(value_of(Numeric("standard", mean=1, scale=2), values), [-2, -0.5, 0.75, 0])
    known = values[:3]
    np.testing.assert_allclose(
        value_of(Numeric("standard"), values), [*(known - known.mean()) / known.std(), 0], rtol=1e-6
    )


def test_bins_are_categories():
    frame = pd.DataFrame({"v": [-1.0, 0.0, 5.0, 10.0, np.nan]})
    X = HashingEncoder(columns={"v": Numeric("bins", edges=(0, 10))}).transform(frame)
    assert_same(X[:4], expected(pd.DataFrame({"v": ["0", "1", "1", "2"]})))
    assert X[4].nnz == 0


def test_moments_of_blocks_are_those_of_all_rows():
    encoder = HashingEncoder(columns={"price": Numeric("standard")})
    whole = clone(encoder).fit(FRAME).kinds_["price"]
    for first in range(0, N_ROWS, 120):
        encoder.partial_fit(FRAME[first : first + 120])
    assert encoder.kinds_["price"].mean == pytest.approx(whole.mean)
    assert encoder.kinds_["price"].scale == pytest.approx(whole.scale) == pytest.approx(FRAME["price"].std(ddof=0))


# ---- missing values -----------------------------------------------------------------------

GAPS = {"s": ["a", None, "b"], "n": [1.5, None, 2.0], "l": [["a"], None, ["b", None]]}


@pytest.mark.parametrize("build", [
    pd.DataFrame,
    pl.DataFrame,
    lambda gaps: pd.DataFrame(gaps).astype({"s": "string[python]", "n": "Float64"}),
    lambda gaps: pd.DataFrame(gaps).astype({"s": "category"}),
    lambda gaps: pl.DataFrame(gaps, schema_overrides={"s": pl.Categorical}),
])  # fmt: skip
def test_missing_values(build):
    hasher = FeatureHasher(2**20, dtype=np.float32)
    present = [{"s": "a", "n": 1.5, "l=a": 1}, {}, {"s": "b", "n": 2.0, "l=b": 1}]
    assert_same(HashingEncoder().transform(build(GAPS)), sparse.csr_matrix(hasher.transform(present)))
    present[1] = {"s": "<missing>", "n": "<missing>", "l": "<missing>"}
    present[2]["l"] = "<missing>"
    assert_same(HashingEncoder(missing="token").transform(build(GAPS)), sparse.csr_matrix(hasher.transform(present)))


# ---- threads ------------------------------------------------------------------------------


def test_threads_give_the_same_matrix(monkeypatch):
    monkeypatch.setattr(encoder_module, "n_workers", lambda n_jobs, work: n_jobs)
    frame = pd.concat([FRAME] * (2 * PIECE // N_ROWS + 3), ignore_index=True)
    kinds = {"city": Text(), "ad": "categorical", "price": Numeric("standard")}
    one, four = (HashingEncoder(columns=kinds, min_count=3, n_jobs=n).fit(frame) for n in (1, 4))
    np.testing.assert_array_equal(one._learned.sketch, four._learned.sketch)
    assert_same(four.transform(frame), one.transform(frame))
    assert one.transform(frame).shape[0] == len(frame) > 2 * PIECE


@pytest.mark.parametrize("n_jobs", [1, 2, 4])
def test_pieces_whose_rows_lack_cells_close_up(n_jobs, monkeypatch):
    monkeypatch.setattr(encoder_module, "n_workers", lambda n_jobs, work: n_jobs)
    items = ["a", None, "long enough to lie elsewhere", "é", None, "0123456789ab", "0123456789abc"]
    words = np.tile(np.array(items, dtype=object), PIECE)
    frame = pd.DataFrame({"c": words, "d": np.roll(words, 2), "e": words}, dtype=object)
    rows = [{name: item for name, item in row.items() if item is not None} for row in frame[:7].to_dict("records")]
    period = FeatureHasher(4, dtype=np.float32).transform(rows)  # so few columns that many cells cancel
    period.eliminate_zeros()
    wanted = sparse.vstack([period] * PIECE, format="csr")
    assert_same(HashingEncoder(2, n_jobs=n_jobs).transform(frame), wanted)


def test_dictionaries_may_hold_missing_values():
    codes, items = np.arange(1000) % 3, ["a", None, "b"]
    coded = pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(items))
    plain = pa.array([items[code] for code in codes])
    encoder = HashingEncoder()
    assert_same(encoder.transform(pa.table({"c": coded})), encoder.transform(pa.table({"c": plain})))


def test_objects_may_be_read_only_and_of_any_type_of_string():
    items = np.array(["a", np.str_("b"), b"c", np.bytes_(b"0123456789abcdef"), np.str_("é" * 20), None], dtype=object)
    items.flags.writeable = False
    names = ["c=a", "c=b", "c=c", "c=0123456789abcdef", "c=" + "é" * 20]
    wanted = FeatureHasher(2**20, input_type="string", dtype=np.float32).transform([*([name] for name in names), []])
    assert_same(HashingEncoder().transform(pd.DataFrame({"c": pd.Series(items, dtype=object)})), wanted)


def test_several_threads_may_transform_at_once():
    encoder = HashingEncoder(columns=["city", "ad"])
    wanted = encoder.transform(FRAME)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(encoder.transform, [FRAME, pl.from_pandas(FRAME)] * 10):
            assert_same(found, wanted)


# ---- groups, counts, names ----------------------------------------------------------------


def test_groups_have_columns_of_their_own():
    encoder = HashingEncoder(8, groups=True).fit(FRAME)
    X = encoder.transform(FRAME)
    assert X.shape == (N_ROWS, 5 * 256) == (N_ROWS, len(encoder.get_feature_names_out()))
    for name, columns in encoder.groups_.items():
        alone = HashingEncoder(8, columns=[name]).transform(FRAME)
        assert (X[:, columns] != alone).nnz == 0


def test_rare_features_are_left_out():
    frame = pd.DataFrame({"ad": ["a"] * 5 + ["b"] * 2 + ["c"] * 3, "n": np.arange(10.0)})
    encoder = HashingEncoder(min_count=3).fit(frame[:4]).partial_fit(frame[4:])
    kept = frame.assign(ad=frame["ad"].where(frame["ad"] != "b", None))
    assert_same(encoder.transform(frame), HashingEncoder().transform(kept))
    unseen = pd.DataFrame({"ad": ["new"], "n": [1.0]})
    assert encoder.transform(unseen).nnz == 1


def test_a_full_sketch_never_counts_too_low():
    frame = pd.DataFrame({"ad": [str(k) for k in range(2000)] + ["often"] * 50})
    X = HashingEncoder(min_count=50, sketch_bits=4).fit(frame).transform(frame)
    assert X[-1].nnz == 1


def test_names_of_features():
    frame = FRAME[["city", "price"]].assign(tags=[["a", "b"]] * N_ROWS, ad=FRAME["ad"].astype("category"))
    encoder = HashingEncoder(4, collect_names=100_000, missing="token").fit(frame)
    names = {name for found in encoder.feature_names_from(range(16)) for name in found}
    wanted = {f"{name}={value}" for name in ("city", "ad") for value in frame[name]} | {"tags=a", "tags=b", "price"}
    assert names == wanted | {f"{name}=<missing>" for name in frame}
    for index, found in enumerate(encoder.feature_names_from(range(16))):
        assert all(abs(murmurhash3_32(name)) % 16 == index for name in found)
    few = HashingEncoder(4, collect_names=7).fit(frame)
    assert sum(map(len, few.feature_names_from(range(16)))) == 7


def test_names_of_words():
    encoder = HashingEncoder(columns={"t": Text((1, 2))}, collect_names=100)
    encoder.fit(pd.DataFrame({"t": ["big Cat", "cat"]}))
    found = encoder.feature_names_from(encoder.transform(pd.DataFrame({"t": ["big Cat"]})).indices)
    assert sorted(found) == [["t=big"], ["t=big cat"], ["t=cat"]]


# ---- scikit-learn's conventions ------------------------------------------------------------


@parametrize_with_checks([HashingEncoder(), HashingEncoder(6, groups=True, n_jobs=2), HashingEncoder(min_count=2)])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_clone_and_pickle():
    columns = {"price": Numeric("standard"), "city": Categorical("c:")}
    encoder = HashingEncoder(12, columns=columns, min_count=2).fit(FRAME)
    assert_same(pickle.loads(pickle.dumps(encoder)).transform(FRAME), encoder.transform(FRAME))
    with pytest.raises(NotFittedError):
        clone(encoder).transform(FRAME)


def test_in_a_pipeline():
    model = make_pipeline(HashingEncoder(), VectorFlowClassifier(max_iter=10, random_state=0))
    assert model.fit(FRAME, FRAME["new"]).score(FRAME, FRAME["new"]) > 0.95


@pytest.mark.parametrize("params, error, message", [
    ({"n_bits": 0}, ValueError, "n_bits must be at least 1, got 0"),
    ({"n_bits": 31}, ValueError, "n_bits must be at most 30, got 31"),
    ({"columns": "city"}, TypeError, "columns must be a dict"),
    ({"columns": {"city": "words"}}, ValueError, r"columns\['city'\] must be one of"),
    ({"columns": {"city": 3}}, TypeError, r"columns\['city'\] must be one of"),
    ({"columns": ["town"]}, ValueError, r"columns names \['town'\]"),
    ({"columns": {"city": "numeric"}}, TypeError, "Column 'city' of X must hold numbers"),
    ({"columns": {"price": "text"}}, TypeError, "Column 'price' of X holds numbers, which can't be read as text"),
    ({"columns": {"ad": "tokens"}}, TypeError, "Column 'ad' of X must hold lists of strings"),
    ({"columns": {"price": Numeric("bins")}}, ValueError, "edges"),
    ({"columns": {"price": Numeric("square")}}, ValueError, "transform must be one of"),
    ({"columns": {"city": Text((2, 1))}}, ValueError, "ngram_range"),
    ({"missing": "drop"}, ValueError, "missing must be one of"),
    ({"n_bits": 30, "groups": True}, ValueError, "more than 2"),
])  # fmt: skip
def test_bad_parameters_are_named(params, error, message):
    fitted = HashingEncoder(8).fit(FRAME)
    before = fitted.transform(FRAME)
    with pytest.raises(error, match=message):
        fitted.set_params(**params).fit(FRAME)
    assert_same(fitted.set_params(**HashingEncoder(8).get_params()).transform(FRAME), before)


@pytest.mark.parametrize("X, error, message", [
    (sparse.eye(3, format="csr"), TypeError, "Sparse data was passed"),
    (pd.DataFrame({"a": []}), ValueError, r"0 sample\(s\)"),
    (pd.DataFrame({"a": [1.0, np.inf]}), ValueError, "Column 'a' of X holds infinity"),
    (pd.DataFrame({"a": ["fine", "\ud800"]}), ValueError, "Column 'a' of X"),
    (pd.DataFrame({"a": pd.to_datetime(["2020-01-01"])}), TypeError, "Column 'a' of X holds values of type datetime"),
    (pd.DataFrame([[1, 2]], columns=["a", "a"]), ValueError, "several columns of the name 'a'"),
    (pl.Series(["a"]), TypeError, "X must be a table"),
    (pl.DataFrame({"a": [1], "b\0c": [2]}), ValueError, r"X has a column named 'b\\x00c': names must have no null"),
    (pa.table({"b\0c": [2]}), ValueError, r"X has a column named 'b\\x00c'"),
    (pl.Series("b\0c", [2]), ValueError, r"X has a column named 'b\\x00c'"),
    (np.array(["a", "b"]), ValueError, "Expected 2D array"),
])  # fmt: skip
def test_bad_data_are_named(X, error, message):
    with pytest.raises(error, match=message):
        HashingEncoder().transform(X)


def test_a_column_that_is_gone_is_named():
    encoder = HashingEncoder(columns=["city", "ad"]).fit(FRAME)
    assert_same(encoder.transform(FRAME[["ad", "city"]]), encoder.transform(FRAME))
    with pytest.raises(ValueError, match=r"lacks columns seen during fit: \['ad'\]"):
        encoder.transform(FRAME[["city"]])


def test_an_entry_that_was_never_written_is_none():
    items = np.array(["a", None, "b" * 40], dtype=object)
    written, _ = engine.place_strings(items, lambda item: None)
    ctypes.memset(items.ctypes.data + items.itemsize, 0, items.itemsize)
    never, _ = engine.place_strings(items, lambda item: None)
    np.testing.assert_array_equal(never[:2], written[:2])
