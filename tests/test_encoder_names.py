"""Names that an encoder collects, and how many share a column."""

import copy
import itertools
import pickle

import numpy as np
import pytest
from sklearn.utils import murmurhash3_32

from sklearn_vectorflow.engine.text import hashing as engine
from sklearn_vectorflow.preprocessing import Categorical, HashingEncoder, Numeric, Text, expected_collisions
from sklearn_vectorflow.preprocessing.encoding.plan import PIECE

pd, pl, pa = (pytest.importorskip(name) for name in ("pandas", "polars", "pyarrow"))

N_BITS = 12
RNG = np.random.RandomState(0)
N_ROWS = 3 * PIECE + 100  # several pieces
WORDS = np.array([f"w{k}" for k in range(2_000)] + ["é" * 30, ""], dtype=object)
FRAME = pd.DataFrame(
    {
        "word": WORDS[RNG.randint(0, len(WORDS), N_ROWS)],
        "number": RNG.randint(0, 500, N_ROWS),
        "text": WORDS[RNG.randint(0, 100, N_ROWS)] + " and " + WORDS[RNG.randint(0, 100, N_ROWS)],
    }
)
FRAME["tags"] = [[a, b] for a, b in zip(FRAME["word"].str[:2], FRAME["word"].str[:3])]
FRAME["coded"] = FRAME["word"].astype("category")
COLUMNS = {
    "word": "categorical",
    "number": "categorical",
    "text": Text((1, 2)),
    "tags": "tokens",
    "coded": "categorical",
}
LAYOUTS = {
    "pandas": lambda frame: frame,
    "pyarrow": lambda frame: pa.Table.from_pandas(frame),
    "chunks": lambda frame: pa.concat_tables([pa.Table.from_pandas(frame[k::3]) for k in range(3)]),
    "polars": lambda frame: pl.from_pandas(frame),
}


def names_of(encoder, n_columns=2**N_BITS):
    return encoder.feature_names_from(range(n_columns))


def fitted(frame=FRAME, n_jobs=1, **parameters):
    parameters = {"columns": COLUMNS, "collect_names": 10**6} | parameters
    return HashingEncoder(N_BITS, n_jobs=n_jobs, **parameters).fit(frame)


@pytest.fixture(scope="module")
def expected():
    """Names by columns, as sets, found in Python."""
    words = {f"word={one}" for one in set(FRAME["word"])} | {f"coded={one}" for one in set(FRAME["word"])}
    words |= {f"number={one}" for one in set(FRAME["number"])}
    words |= {f"tags={one}" for row in FRAME["tags"] for one in row}
    for text in FRAME["text"]:
        some = [word for word in text.split() if len(word) > 1]
        words |= {f"text={word}" for word in some} | {f"text={a} {b}" for a, b in itertools.pairwise(some)}
    found = [set() for _ in range(2**N_BITS)]
    for name in words:
        found[abs(murmurhash3_32(name)) % 2**N_BITS].add(name)
    return found


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_name_is_found_once(layout, expected):
    found = names_of(fitted(LAYOUTS[layout](FRAME)))
    assert all(len(set(some)) == len(some) for some in found)
    assert [set(some) for some in found] == expected


def test_threads_find_the_same_in_the_same_order():
    assert names_of(fitted(n_jobs=3)) == names_of(fitted())
    some = [names_of(fitted(n_jobs=n_jobs, collect_names=700, columns=["word"])) for n_jobs in (1, 2, 3)]
    assert some[0] == some[1] == some[2]
    assert sum(map(len, some[0])) == 700
    kept = {one for names in some[0] for one in names}
    assert kept == {f"word={word}" for word in pd.unique(FRAME["word"])[:700]}  # the first ones


def test_blocks_of_a_stream_and_pickles_between_them(expected):
    encoder = HashingEncoder(N_BITS, columns=COLUMNS, collect_names=10**6)
    for start in range(0, N_ROWS, 10_000):
        encoder = pickle.loads(pickle.dumps(encoder.partial_fit(FRAME[start : start + 10_000])))
    assert [set(some) for some in names_of(encoder)] == expected
    assert all(len(set(some)) == len(some) for some in names_of(encoder))
    room = encoder._learned.names.room
    assert room == 10**6 - sum(map(len, names_of(encoder)))
    assert encoder.partial_fit(FRAME)._learned.names.room == room


def test_a_block_that_fails_leaves_the_names_as_they_were():
    encoder = fitted(FRAME[:100], columns={"word": "categorical", "text": "text"})
    before = names_of(encoder)
    with pytest.raises(TypeError, match="text"):
        encoder.partial_fit(pd.DataFrame({"word": ["new"], "text": [1]}))
    assert names_of(encoder) == before
    again = encoder.partial_fit(pd.DataFrame({"word": ["new"], "text": ["new"]}))
    assert "word=new" in {one for some in names_of(again) for one in some}


def test_a_copy_meets_more_by_itself():
    encoder = fitted(FRAME[:100])
    before, other = names_of(encoder), copy.deepcopy(encoder)
    other.partial_fit(FRAME)
    assert names_of(encoder) == before != names_of(other)


def test_strings_of_the_same_hash_are_told_apart():
    met, twins = {}, None
    for k in itertools.count():
        name = f"c=value{k}"
        twin = met.setdefault(murmurhash3_32(name), name)
        if twin != name:
            twins = twin, name
            break
    frame = pd.DataFrame({"c": [name[2:] for name in twins] * 2})
    for rows in (
        frame,
        pa.Table.from_pandas(frame),
        frame.astype("category"),
        frame.assign(c=[[one] for one in frame["c"]]),
    ):
        encoder = HashingEncoder(N_BITS, collect_names=10).fit(rows)
        assert encoder.feature_names_from([abs(murmurhash3_32(twins[0])) % 2**N_BITS]) == [list(twins)]
        assert encoder.collisions()["sharing"] == 2


def test_columns_of_one_prefix_share_their_names():
    frame = pd.DataFrame({"home": ["Rome", "Oslo"], "away": ["Oslo", "Lima"]})
    kinds = {"home": Categorical(prefix="team="), "away": Categorical(prefix="team=")}
    encoder = fitted(frame, columns=kinds, collect_names=3)
    assert sorted(one for some in names_of(encoder) for one in some) == ["team=Lima", "team=Oslo", "team=Rome"]
    apart = fitted(frame, columns=kinds, groups=True)
    assert sum(map(len, names_of(apart, 2 * 2**N_BITS))) == 4


def test_bytes_that_are_no_text():
    frame = pa.table({"c": pa.array([b"\xff\xfe", b"ok"], pa.binary())})
    assert sorted(one for some in names_of(fitted(frame, columns=["c"])) for one in some) == ["c=ok", "c=\ufffd\ufffd"]


# ---- collisions ---------------------------------------------------------------------------


@pytest.mark.parametrize("groups", [False, True])
def test_collisions_are_those_of_the_columns(groups):
    frame, kinds = FRAME[["word", "number"]], {"word": "categorical", "number": "categorical"}
    found = HashingEncoder(N_BITS, columns=kinds, groups=groups).collisions(frame)
    names = [f"{name}={one}" for name in frame for one in set(frame[name])]
    places = [(groups and name[:4], abs(murmurhash3_32(name)) % 2**N_BITS) for name in names]
    sharing = sum(places.count(one) > 1 for one in places)
    assert found["names"] == len(names)
    assert found["columns"] == (1 + groups) * 2**N_BITS
    assert found["sharing"] == sharing
    assert found["expected"] == pytest.approx(sharing, rel=0.1)
    encoder = HashingEncoder(N_BITS, columns=kinds, groups=groups, collect_names=10**6).fit(frame)
    assert encoder.collisions() == encoder.collisions(frame) == found


def test_expected_collisions_are_the_mean_of_random_ones():
    places = np.random.default_rng(0).integers(0, 2**8, (500, 100))
    sharing = [np.sum(np.bincount(one)[one] > 1) for one in places]
    assert expected_collisions(100, 8) == pytest.approx(np.mean(sharing), rel=0.03)
    assert expected_collisions(0, 8) == expected_collisions(1, 8) == 0
    assert expected_collisions(2, 1) == 1.0
    assert expected_collisions(10**6, 30) == pytest.approx(10**12 / 2**30, rel=0.01)


def test_numeric_columns_are_names_too():
    frame = pd.DataFrame({"a": [1.0], "b": [2.0]})
    encoder = HashingEncoder(N_BITS, columns={"a": "numeric", "b": Numeric("bins", edges=[0.0, 1.0])})
    assert encoder.collisions(frame)["names"] == 4


def test_collisions_of_names_without_room_warn():
    encoder = fitted(collect_names=10)
    with pytest.warns(UserWarning, match="collect_names=10 left no room"):
        assert encoder.collisions()["names"] == 10


def test_collisions_need_names():
    with pytest.raises(ValueError, match="collect_names > 0"):
        fitted(collect_names=0).collisions()
    for arguments in ((-1, 8), (1, 0)):
        with pytest.raises(ValueError, match="must be at least"):
            expected_collisions(*arguments)


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state["stored"][0][2].__setitem__(0, 10**6),
        lambda state: state["stored"][0][2].__setitem__(1, 0),
        lambda state: state.update(n_bits="many"),
        lambda state: state.update(stored=[(1, 2)]),
        lambda state: state.pop("room"),
    ],
)
def test_damaged_names_are_refused(change):
    names = fitted(FRAME[:50])._learned.names
    state = names.__getstate__()
    change(state)
    with pytest.raises(ValueError, match="pickle is damaged"):
        type(names).__new__(type(names)).__setstate__(state)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
def test_names_of_every_length_are_known_again(kind):
    """Short strings get their keys without branches; the table of names has those of any string."""
    texts = pa.array(["é" * (n // 2) + "ab"[n % 2] * (n % 2) + "x" * k for n in range(40) for k in range(3)], kind)
    places = np.frombuffer(texts.buffers()[1], np.uint8)
    layout = {pa.string(): engine.OFFSETS, pa.large_string(): engine.WIDE_OFFSETS}.get(kind, engine.VIEWS)
    data = [np.frombuffer(buffer, np.uint8) for buffer in texts.buffers()[2:]]
    cells = engine.Cells(b"c", b"c=", None, 0)
    cells.set_strings(layout, places, data if layout == engine.VIEWS else data[0], texts, 0)
    names = engine.Names(b"c=")
    found = names.find(cells, len(texts))
    assert len(found) == names.add(found, 10**6) == len(set(texts.to_pylist()))
    assert len(names.find(cells, len(texts))) == 0
