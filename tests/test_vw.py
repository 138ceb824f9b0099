"""Vowpal Wabbit's text: what it means by its documentation, and what vw itself reads."""

import itertools

import numpy as np
import pytest
from sklearn.utils import murmurhash3_32

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor
from sklearn_vectorflow.io import VWSource

BITS = 24


def read(folder, content, **options):
    path = folder / "rows.vw"
    path.write_text(content)
    (block,) = VWSource(path, **{"n_bits": BITS, "importance": True, "tags": True, **options})
    return block


def column(*names):
    """The column of a name in its namespace, and perhaps of a string that is its value."""
    seed = 0
    for name in names:
        seed = murmurhash3_32(name, seed, positive=True)
    return seed % 2**BITS


HEADS = {  # what stands before the features: label, importance, tag
    "1 first|f a": (1, 1, "first"),
    "7|f a": (None, 1, "7"),
    " 7|f a": (None, 1, "7"),
    "7 |f a": (7, 1, ""),
    "1 2.0 'tag|f a": (1, 2, "tag"),
    "1 2.0 tag|f a": (1, 2, "tag"),
    "1 2.0|f a": (1, 1, "2.0"),
    "1 2.0 'tag |f a": (1, 2, "tag"),
    "1 't |f a": (1, 1, "t"),
    "1 ''t'|f a": (1, 1, "'t'"),
    "1 '|f a": (1, 1, ""),
    "1 2 0.5 t|f a": (1, 2, "t"),
    "1 2 0.5 |f a": (1, 2, ""),
    "'t |f a": (None, 1, "t"),
    "first|f a": (None, 1, "first"),
    "|f a": (None, 1, ""),
    " |f a": (None, 1, ""),
    "1 t:é|f a": (1, 1, "t:é"),
}


@pytest.mark.parametrize("line", HEADS)
def test_what_touches_the_first_bar_is_a_tag(tmp_path, line):
    block = read(tmp_path, line + "\n")
    label, importance, tag = HEADS[line]
    assert (None if block.y is None else block.y.tolist()) == (None if label is None else [label])
    assert (block.sample_weight.tolist(), block.tag.tolist()) == ([importance], [tag])
    assert block.X.indices.tolist() == [column("f", "a")]


FEATURES = {  # columns and values
    "|f color=red": [(column("f", "color=red"), 1)],
    "|f color:red": [(column("f", "color", "red"), 1)],
    "|f color:red:3 b": [(column("f", "color", "red:3"), 1), (column("f", "b"), 1)],
    "|f:2 color:red b c:3": [(column("f", "color", "red"), 1), (column("f", "b"), 2), (column("f", "c"), 6)],
    "|f color:1e1 b:-.5 c:+2": [(column("f", "color"), 10), (column("f", "b"), -0.5), (column("f", "c"), 2)],
    "|f :red": [(column("f", "", "red"), 1)],
    "|f :2 :3 |g :4": [(column("f", ""), 2), (column("f", "") + 1, 3), (column("g", ""), 4)],
    "| a:b |g a:b": [(column("", "a", "b"), 1), (column("g", "a", "b"), 1)],
}
OTHERWISE = {  # vw takes the first two for NaN and infinity, and the bar for a part of the string
    "|f city:Nancy": [(column("f", "city", "Nancy"), 1)],
    "|f city:Infos": [(column("f", "city", "Infos"), 1)],
    "|f a:b|g c": [(column("f", "a", "b"), 1), (column("g", "c"), 1)],
}


@pytest.mark.parametrize("features", [*FEATURES, *OTHERWISE])
def test_values_may_be_strings(tmp_path, features):
    X = read(tmp_path, f"1 {features}\n").X
    assert list(zip(X.indices.tolist(), X.data.tolist())) == {**FEATURES, **OTHERWISE}[features]


@pytest.mark.parametrize("value", ["1x", "2020-01-01", "nan", "-inf", "Infinity", "1e40", "-", "", "0x10", ".5.5", "+"])
def test_what_begins_like_a_number_must_be_one(tmp_path, value):
    with pytest.raises(ValueError, match="rows.vw, line 2: what follows ':' is neither a finite number"):
        read(tmp_path, f"1 |f a\n1 |f color:{value} b\n")


def test_the_weight_of_a_namespace_is_no_string(tmp_path):
    with pytest.raises(ValueError, match="rows.vw, line 1: the weight of a namespace"):
        read(tmp_path, "1 |f:red a\n")


@pytest.mark.parametrize(
    "content, line", [("1 |f a\n2 |f b\n|f c\n", 3), ("|f a\n\n1 |f b\n", 3), ("1 |f a\n7|f b\n1 |f c\n", 2)]
)
def test_labels_are_of_all_rows_or_of_none(tmp_path, content, line):
    with pytest.raises(ValueError, match=rf"rows.vw, line {line}: rows with and without a label"):
        read(tmp_path, content)


def test_rows_without_labels_are_for_prediction(tmp_path):
    labelled, unlabelled = tmp_path / "a.vw", tmp_path / "b.vw"
    labelled.write_text("".join(f"{k % 2} |f {'ab'[k % 2]}\n" for k in range(100)))
    unlabelled.write_text("".join(f"{k % 2}|f {'ab'[k % 2]}\n" for k in range(100)))
    model = VectorFlowClassifier(random_state=0).fit(VWSource(labelled, n_bits=8))
    np.testing.assert_array_equal(model.predict(VWSource(unlabelled, n_bits=8)), np.arange(100) % 2)
    for new in (VectorFlowClassifier(), VectorFlowRegressor()):
        for buffer_bytes in (10, 2**28):
            with pytest.raises(ValueError, match=r"b.vw.*no y.* a word that touches the first '\|' is a tag"):
                new.fit(VWSource(unlabelled, n_bits=8, buffer_bytes=buffer_bytes))


def test_bad_options_are_refused(tmp_path):
    (tmp_path / "rows.vw").write_text("1 |f a\n")
    with pytest.raises(TypeError, match="tags must be True or False"):
        VWSource(tmp_path / "rows.vw", tags=1)


def test_vw_reads_the_same(tmp_path):
    vw = pytest.importorskip("vowpalwabbit")
    workspace = vw.Workspace("--quiet --noconstant")
    theirs = {}  # which column of vw a column here is
    for head, features in itertools.product(HEADS, FEATURES):
        line = head.partition("|")[0] + features
        block = read(tmp_path, line + "\n")
        example = np.ravel(workspace.parse(line))[0]
        label = example.get_simplelabel_label()
        assert (None if label > 1e38 else label) == (None if block.y is None else block.y[0])
        assert example.get_simplelabel_weight() == block.sample_weight[0]
        assert example.get_tag() == block.tag[0]
        found = [
            (example.feature(k, i), example.feature_weight(k, i))
            for k in range(example.num_namespaces())
            for i in range(example.num_features_in(k))
        ]
        assert [value for _, value in found] == block.X.data.tolist()
        for (index, _), own in zip(found, block.X.indices.tolist()):
            assert theirs.setdefault(own, index) == index
        workspace.finish_example(example)
    assert len(set(theirs.values())) == len(theirs)
