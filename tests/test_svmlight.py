"""The svmlight reader: scikit-learn's matrix, or an error that names file and line."""

import gzip
import io
import random
import re

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import dump_svmlight_file, load_svmlight_file

from sklearn_vectorflow import VectorFlowClassifier
from sklearn_vectorflow.io import SVMLightSource, load_svmlight, text

N_MUTANTS = 300
RNG = np.random.default_rng(0)
SEEDS = (
    b"1 1:0.5 3:-2e-3 7:1\n-1 2:.25 9:3.\n\n# nothing\n+1.5 qid:3 4:1e5 # why\n0 5:12345678901234567890\n2\n",
    b"0 qid:1 1:0.1 2:0.2\n1 qid:1 2:7\n0 qid:2 1:1 3:0.30000000000000004\n",
    b"3 10:1\r\n4 11:2\t12:3\r\n 5  13:4 \n6 14:0.000001234567890123456",
)
LETTERS = b"0123456789:. \n\t-+eE#qid,|xnaf\x00\xff\r"


def same(mine, theirs):
    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(mine[0], part), getattr(theirs[0], part))
    assert mine[0].shape == theirs[0].shape and mine[0].dtype == theirs[0].dtype
    np.testing.assert_array_equal(mine[1], theirs[1])


@pytest.fixture
def short_pieces(monkeypatch):
    monkeypatch.setattr(text, "PIECE", 64)


@pytest.fixture
def files(tmp_path, short_pieces):
    """Two files of one matrix, which is long in digits and has empty rows."""
    X = sparse.random(200, 50, 0.1, format="csr", random_state=0)
    X.data *= 10.0 ** RNG.integers(-30, 30, X.nnz)
    X = sparse.vstack([X, sparse.csr_matrix((5, 50))], format="csr")
    y = RNG.integers(0, 2, X.shape[0])
    paths = [tmp_path / "a.svm", tmp_path / "b.svm"]
    for path, rows in zip(paths, (slice(0, 90), slice(90, None))):
        dump_svmlight_file(X[rows], y[rows], str(path), query_id=np.arange(len(y))[rows] // 10, comment="two\nlines")
    return paths


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_jobs", [1, 3])
def test_files_give_the_matrix_that_scikit_learn_reads(files, dtype, n_jobs):
    same(load_svmlight(files[0], dtype=dtype, n_jobs=n_jobs), load_svmlight_file(str(files[0]), dtype=dtype))
    X, y, qid = load_svmlight(files, dtype=dtype, query_id=True, n_features=60, n_jobs=n_jobs)
    options = {"dtype": dtype, "n_features": 60, "query_id": True, "zero_based": True}
    Xs, ys, qids = zip(*(load_svmlight_file(str(path), **options) for path in files))
    same((X, y), (sparse.vstack(Xs, format="csr"), np.concatenate(ys)))
    np.testing.assert_array_equal(qid, np.concatenate(qids))


def test_compressed_files_are_read_in_order(files):
    packed = []
    for path in files:
        packed.append(path.with_suffix(".svm.gz"))
        packed[-1].write_bytes(gzip.compress(path.read_bytes()))
    same(load_svmlight(packed), load_svmlight(files))
    X, y = load_svmlight(files)
    blocks = list(SVMLightSource(packed))
    assert len(blocks) > 10
    Xs, ys = zip(*((block.X, block.y) for block in blocks))
    same((sparse.vstack(Xs, format="csr"), np.concatenate(ys)), (X, y))


@pytest.mark.parametrize("zero_based", [True, False, "auto"])
@pytest.mark.parametrize("first", [0, 1])
def test_columns_count_from_zero_or_one(tmp_path, first, zero_based):
    path = tmp_path / "a.svm"
    path.write_text(f"1 {first}:1 4:2\n0 2:1\n")
    if zero_based is False and first == 0:
        with pytest.raises(ValueError, match="column 0"):
            load_svmlight(path, zero_based=zero_based)
        with pytest.raises(ValueError, match=r"a.svm, line 1: the column index is 0"):
            list(SVMLightSource(path, zero_based=False, n_features=9))
        return
    expected = load_svmlight_file(str(path), zero_based=zero_based, dtype=np.float32)
    same(load_svmlight(path, zero_based=zero_based), expected)
    (block,) = SVMLightSource(path, zero_based=zero_based)
    same((block.X, block.y), expected)


def test_training_on_files_equals_training_on_the_matrix(files):
    X, y = load_svmlight(files)
    X.data[:] = np.sign(X.data)
    scaled = files[0].with_name("c.svm")
    dump_svmlight_file(X, y, str(scaled), zero_based=True)
    expected = VectorFlowClassifier(shuffle=False, random_state=0, max_iter=3).fit(X, y)
    model = VectorFlowClassifier(shuffle=False, random_state=0, max_iter=3)
    model.fit(SVMLightSource(scaled, n_features=X.shape[1], zero_based=True))
    np.testing.assert_array_equal(model.coef_, expected.coef_)


@pytest.mark.parametrize(
    "line, problem",
    [
        ("x 1:1", "the label"),
        ("nan 1:1", "the label"),
        ("1,2 1:1", "what follows a number"),
        ("1 qid:x 1:1", "qid"),
        ("1 a:1", "a column index"),
        ("1 -1:1", "a column index"),
        ("1 99999999999999999999:1", "a column index"),
        ("1 9223372036854775808:1", "a column index"),
        ("1 18446744073709551617:1", "a column index"),
        ("1 2147483647:1", "a column index"),
        ("1 1", "not followed by ':'"),
        ("1 1:", "not followed by ':'"),
        ("1 1:x", "not followed by ':'"),
        ("1 1:inf", "not followed by ':'"),
        ("1 1:1e999", "not followed by ':'"),
        ("1 1:1x", "what follows a number"),
        ("1 2:1 1:1", "do not increase"),
        ("1 2:1 2:1", "do not increase"),
        ("1 1:1e39", "too large for float32"),
        ("1 1:1e", "not followed by ':'"),
        ("1 1:0x10", "what follows a number"),
    ],
)
def test_a_bad_line_is_named(tmp_path, short_pieces, line, problem):
    path = tmp_path / "bad.svm"
    path.write_text("1 1:1 2:3\n" * 30 + "\n# comment\n" + line + "\n1 1:1\n")
    message = re.escape(f"{path}, line 33: ") + ".*" + re.escape(problem)
    for read in (lambda: load_svmlight(path), lambda: list(SVMLightSource(path, n_features=9, zero_based=True))):
        with pytest.raises(ValueError, match=message):
            read()
    packed = path.with_suffix(".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(ValueError, match=re.escape(f"{packed}, line 33: ")):
        load_svmlight(packed)


LABELLED = b"1,3,7 5:1.0\n0 qid:9 1:2\nqid:3 2:1\n 4:1\n2 # c,d\n\n7,7,1 1:1 # x\n5:3\n9,0\n1,2,3 qid:1 2:1 4:2\n"


def indicator(labels, n_labels):
    y = np.zeros((len(labels), n_labels))
    for row, of_row in enumerate(labels):
        y[row, np.array(of_row, dtype=int)] = 1
    return y


@pytest.mark.parametrize("n_labels", [None, 10, 12])
def test_several_labels_are_those_that_scikit_learn_reads(tmp_path, short_pieces, n_labels):
    path = tmp_path / "a.svm"
    path.write_bytes(LABELLED * 20)
    expected, labels = load_svmlight_file(str(path), multilabel=True, dtype=np.float32)
    options = {"multilabel": True, "n_labels": n_labels}
    X, y = load_svmlight(path, **options)
    assert sparse.isspmatrix_csr(y) and y.dtype == np.int8 and y.has_canonical_format
    same((X, y.toarray()), (expected, indicator(labels, n_labels or 10)))
    blocks = list(SVMLightSource(path, **options))
    assert len(blocks) > 10
    Xs, ys = (sparse.vstack([getattr(block, name) for block in blocks], format="csr") for name in ("X", "y"))
    same((Xs, ys.toarray()), (expected, y.toarray()))
    known = {"n_features": X.shape[1], "zero_based": False, "n_labels": 10, "multilabel": True}
    with io.BytesIO(path.read_bytes()) as file:
        file.seekable = lambda: False  # what is read once needs no other pass
        assert sum(block.y.nnz for block in SVMLightSource(file, **known)) == y.nnz


def test_models_are_fitted_to_several_labels(tmp_path):
    path = tmp_path / "a.svm"
    X = sparse.random(500, 30, 0.3, format="csr", dtype=np.float32, random_state=0)
    y = (X[:, :4].toarray() > 0.5).astype(int)
    dump_svmlight_file(X, y, str(path), multilabel=True, zero_based=True)
    options = {"random_state": 0, "shuffle": False, "max_iter": 3, "tol": None}
    expected = VectorFlowClassifier(**options).fit(X, y)
    source = SVMLightSource(path, multilabel=True, zero_based=True, n_features=30, buffer_bytes=5000)
    model = VectorFlowClassifier(**options).fit(source)
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-5)
    assert model.score(source) == expected.score(X, y)


@pytest.mark.parametrize(
    "labels", ["1,,2", "1,", ",1", "1.5", "-1", "a", "1,b", "12", "1e300", "nan", "1,-0.5", "99999999999"]
)
def test_bad_labels_are_named(tmp_path, labels):
    path = tmp_path / "a.svm"
    path.write_text(f"1,2 1:1\n{labels} 1:1\n")
    for read in (load_svmlight, lambda *args, **options: list(SVMLightSource(*args, **options))):
        with pytest.raises(
            ValueError, match=r"a.svm, line 2: labels are not integers between commas, or one is beyond"
        ):
            read(path, multilabel=True, n_labels=12)
    with pytest.raises(ValueError, match="line 1: what follows a number is not a space: set multilabel=True"):
        load_svmlight(path)


def test_labels_may_be_few_or_none(tmp_path):
    path = tmp_path / "a.svm"
    path.write_text("1:1\n2:3\n")
    assert load_svmlight(path, multilabel=True)[1].shape == (2, 1)
    path.write_text("\n")
    X, y = load_svmlight(path, multilabel=True, n_labels=3)
    assert X.shape == (0, 1) and y.shape == (0, 3)
    for wrong in ({"n_labels": 3}, {"multilabel": True, "n_labels": 0}, {"multilabel": True, "n_labels": 1.5}):
        with pytest.raises((TypeError, ValueError), match="n_labels"):
            load_svmlight(path, **wrong)
    with pytest.raises(TypeError, match="multilabel must be"):
        load_svmlight(path, multilabel="yes")


@pytest.mark.parametrize("qid", [0, 1, 10**18 - 1, 10**18, 2**53 + 1, 2**63 - 1, f"{'0' * 40}12"])
def test_qids_have_64_bits(tmp_path, qid):
    path = tmp_path / "a.svm"
    path.write_text(f"1 qid:{qid} 1:1\n0 qid:{qid}\n")
    _, _, expected = load_svmlight_file(str(path), query_id=True)
    found = load_svmlight(path, query_id=True)[2]
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.int64 and found.tolist() == [int(qid)] * 2


@pytest.mark.parametrize("qid", [2**63, 10**19 - 1, 10**19, 2**64, 2**64 + 1, "9" * 40, "-1", "", "+1"])
def test_qids_beyond_are_refused(tmp_path, qid):
    path = tmp_path / "a.svm"
    path.write_text(f"1 1:1\n0 qid:{qid} 1:1\n")
    with pytest.raises(ValueError, match=r"a.svm, line 2: qid is not an integer from 0 to 2\*\*63 - 1"):
        load_svmlight(path)


def test_bad_options_are_refused(tmp_path):
    path = tmp_path / "a.svm"
    path.write_text("1 3:1\n")
    with pytest.raises(ValueError, match="n_features is 2"):
        load_svmlight(path, n_features=2)
    with pytest.raises(ValueError, match="some rows have no qid"):
        load_svmlight(path, query_id=True)
    with pytest.raises(ValueError, match="zero_based must be"):
        SVMLightSource(path, zero_based="no")
    with pytest.raises(ValueError, match="dtype must be"):
        SVMLightSource(path, dtype=np.int32)
    with pytest.raises(ValueError, match="at least one file"):
        SVMLightSource([])
    with pytest.raises(FileNotFoundError):
        SVMLightSource(tmp_path / "none.svm")


def digits(n):
    return "".join(map(str, RNG.integers(0, 10, n)))


def test_numbers_are_rounded_correctly(tmp_path):
    numbers = [repr(float(x)) for x in RNG.uniform(0, 1, 300) * 10.0 ** RNG.integers(-25, 25, 300)]
    numbers += ["9007199254740993", "0.1e-5", "1e22", "1e23", "5e-324", "2.5e-323", "0.00000000000000000000001"]
    numbers += [f"{digits(19)}.{digits(k)}" for k in range(9)]
    numbers += [f"0.{k:017d}" for k in RNG.integers(0, 10**17, 300)]
    path = tmp_path / "a.svm"
    path.write_text("".join(f"{number} 1:-{number}\n" for number in numbers))
    X, y = load_svmlight(path, dtype=np.float64, zero_based=True)
    np.testing.assert_array_equal(y, [float(number) for number in numbers])
    np.testing.assert_array_equal(X.data, -y)


def mutant(seed, contents=SEEDS):
    """A file with a few bytes changed, dropped, doubled or moved."""
    draw = random.Random(seed)
    content = bytearray(draw.choice(contents))
    for _ in range(draw.randint(1, 4)):
        at, to = sorted(draw.randrange(len(content) + 1) for _ in range(2))
        content[at : draw.choice([at, at + 1, to])] = draw.choice(
            [b"", bytes(draw.choices(LETTERS, k=draw.randint(1, 3))), content[at:to]]
        )
    return bytes(content)


def check_mutant(path, content):
    """Read a file: an error that names the line, or scikit-learn's matrix."""
    path.write_bytes(content)
    try:
        mine = load_svmlight(path, dtype=np.float64, zero_based=True, n_features=10**6)
    except ValueError as error:
        assert re.match(rf"{re.escape(str(path))}, line \d+: |The source|The files have \d+ columns", str(error)), error
        return False
    theirs = load_svmlight_file(io.BytesIO(content), zero_based=True, n_features=10**6)
    same(mine, theirs)
    return True


def test_mutated_files_give_an_error_or_the_right_matrix(tmp_path, short_pieces):
    read = sum(check_mutant(tmp_path / "mutant.svm", mutant(seed)) for seed in range(N_MUTANTS))
    assert 0.1 * N_MUTANTS < read < 0.9 * N_MUTANTS


def test_mutated_labels_give_an_error_or_the_right_matrix(short_pieces):
    n_read, options = 0, {"multilabel": True, "zero_based": True, "n_features": 10**4}
    for seed in range(N_MUTANTS):
        content = mutant(seed, [LABELLED])
        try:
            X, y = load_svmlight(io.BytesIO(content), n_labels=10**4, **options)
        except ValueError as error:
            assert re.match(r"<BytesIO>, line \d+: |The source|The files have \d+ columns", str(error)), error
            continue
        expected, labels = load_svmlight_file(io.BytesIO(content), dtype=np.float32, **options)
        same((X, y.toarray()), (expected, indicator(labels, 10**4)))
        n_read += 1
    assert 0.1 * N_MUTANTS < n_read < 0.9 * N_MUTANTS
