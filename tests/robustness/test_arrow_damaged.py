"""Arrow arrays made of buffers without a look: their offsets and views point anywhere."""

import numpy as np
import pytest

from sklearn_vectorflow.preprocessing import HashingEncoder, Text, Tokens

pa = pytest.importorskip("pyarrow")

WILD = 2**31 - 9
OUTSIDE = "Column 'c' of X is a damaged Arrow array: a string lies outside of its buffer"
OF_ARROW = "Negative offsets in binary array"  # at which Arrow looks itself


def buffer(values, dtype):
    return pa.py_buffer(np.array(values, dtype=dtype))


def strings(offsets, type_=None, dtype=np.int32, n_bytes=6):
    letters = pa.py_buffer(b"abcdef"[:n_bytes])
    return pa.Array.from_buffers(type_ or pa.string(), len(offsets) - 1, [None, buffer(offsets, dtype), letters])


def views(*fields):
    """Views of a length, four letters, the number of a buffer and the place in it."""
    return pa.Array.from_buffers(
        pa.string_view(), len(fields), [None, buffer(fields, np.int32), pa.py_buffer(b"abcdefghijklmnopqrstuvwxyz")]
    )


DAMAGED = {
    "an offset that falls": lambda: strings([0, 4, 2, 6]),
    "an offset far outside": lambda: strings([0, WILD, 6]),
    "a negative offset": lambda: strings([-(2**30), 2, 6]),
    "a negative end": lambda: strings([0, 2, -4]),
    "wide, far outside": lambda: strings([0, 2**50, 6], pa.large_string(), np.int64),
    "wide, negative": lambda: strings([0, -(2**50), 6], pa.large_string(), np.int64),
    "bytes": lambda: strings([0, WILD, 6], pa.binary()),
    "categories": lambda: pa.DictionaryArray.from_arrays(pa.array([0, 1]), strings([0, WILD, 6])),
}
if hasattr(pa, "string_view"):
    DAMAGED |= {
        "a view beyond its buffer": lambda: views((20, 0, 0, 7)),
        "a view far outside": lambda: views((20, 0, 0, WILD)),
        "a view before its buffer": lambda: views((20, 0, 0, -(2**30))),
        "a view of no buffer": lambda: views((20, 0, 5, 0)),
        "a view of a buffer before the first": lambda: views((20, 0, -5, 0)),
        "a long view": lambda: views((2**31 - 1, 0, 0, 0)),
        "a view of negative length": lambda: views((-1, 0, 0, 0)),
    }


@pytest.mark.parametrize("name, kind", [*((name, None) for name in DAMAGED), ("wide, far outside", Text())], ids=str)
def test_strings_outside_of_their_buffers_are_refused(name, kind):
    for options in ({}, {"collect_names": 10}):
        encoder = HashingEncoder(columns=None if kind is None else {"c": kind}, **options)
        with pytest.raises(ValueError, match=f"{OUTSIDE}|{OF_ARROW}"):
            encoder.fit_transform(pa.table({"c": DAMAGED[name]()}))


@pytest.mark.parametrize("starts", [[0, 3, 1, 4], [0, WILD, 4], [0, -WILD, 4]])
@pytest.mark.parametrize("items", [["a", "b", "c", "d"], [1, 2, 3, 4]], ids=["strings", "numbers"])
def test_lists_outside_of_their_items_are_refused(starts, items):
    items = pa.array(items)
    lists = pa.Array.from_buffers(
        pa.list_(items.type), len(starts) - 1, [None, buffer(starts, np.int32)], 0, 0, [items]
    )
    with pytest.raises(ValueError, match="Column 'c' of X is a damaged Arrow array: a list lies outside of its items"):
        HashingEncoder(columns={"c": Tokens()}).fit_transform(pa.table({"c": lists}))


@pytest.mark.parametrize("code", [-2, -(2**31) - 1, -(2**62)])
def test_codes_before_the_first_category_are_refused(code):
    codes = pa.array([0, 1, code], pa.int64())
    column = pa.DictionaryArray.from_arrays(codes, pa.array(["a", "b"]), safe=False)
    with pytest.raises(ValueError, match=f"Column 'c' of X holds the code {code} of a category"):
        HashingEncoder().fit_transform(pa.table({"c": column}))


def test_whole_arrays_whose_rows_begin_late_are_read():
    """Slices, chunks without rows, missing values with anything in their views and no bytes at all."""
    words = ["a word that is long enough", None, "short", "", "another long word of many letters"] * 3
    wanted = HashingEncoder().fit_transform(pa.table({"c": words[2:9]}))
    for type_ in (pa.string(), pa.large_string(), *([pa.string_view()] if hasattr(pa, "string_view") else [])):
        column = pa.array(words, type_)
        chunks = pa.chunked_array([column.slice(2, 0), column.slice(2, 3), column.slice(5, 4), pa.array([], type_)])
        assert (HashingEncoder().fit_transform(pa.table({"c": chunks})) != wanted).nnz == 0
    lists = pa.array([["x", "y"], None, [], ["z"]])
    wanted = HashingEncoder(columns={"c": Tokens()}).fit_transform(pa.table({"c": [None, [], ["z"]]}))
    assert (HashingEncoder(columns={"c": Tokens()}).fit_transform(pa.table({"c": lists.slice(1)})) != wanted).nnz == 0
