"""Readers written for clarity, to compare with."""

import re

import numpy as np
from scipy import sparse
from sklearn.utils import murmurhash3_32

NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
SPACES = b" \t\r\x0b\x0c"
VW_SPACES = b" \t\r"
NO_STRING = re.compile(rb"[+-]?(\.?\d|(nan|inf|infinity)?\Z)", re.IGNORECASE)


def number(token):
    """Return a finite number, or raise."""
    if not NUMBER.fullmatch(token):
        raise ValueError(f"no number: {token!r}")
    value = float(token)
    if not np.isfinite(value):
        raise ValueError(f"not finite: {token!r}")
    return value


def tokens(line, spaces):
    """Return what stands between spaces."""
    return [token for token in re.split(b"[" + re.escape(spaces) + b"]+", line) if token]


def integer(token):
    """Return an integer from 0 to 2**63 - 1, or raise."""
    if not re.fullmatch(rb"\d+", token) or int(token) >= 2**63:
        raise ValueError(f"no integer: {token!r}")
    return int(token)


def matrix(rows, n_features, dtype):
    """Return CSR of lists of (column, value)."""
    indptr = np.cumsum([0] + [len(row) for row in rows])
    indices = [j for row in rows for j, _ in row]
    values = np.array([v for row in rows for _, v in row], dtype=dtype)
    if not np.all(np.isfinite(values)):
        raise ValueError("a value is too large")
    return sparse.csr_matrix((values, indices, indptr), shape=(len(rows), n_features))


def read_svmlight(content, n_features):
    """Return X and y of a text in the svmlight format, columns from 0."""
    rows, labels = [], []
    for line in content.split(b"\n"):
        found = tokens(line.partition(b"#")[0], SPACES)
        if not found:
            continue
        labels.append(number(found[0]))
        row, last = [], -1
        for k, token in enumerate(found[1:]):
            if k == 0 and token.startswith(b"qid:"):
                integer(token[4:])
                continue
            column, colon, value = token.partition(b":")
            column = integer(column)
            if not colon or not last < column < n_features:
                raise ValueError(f"{token!r}")
            row.append((column, number(value)))
            last = column
        rows.append(row)
    with np.errstate(over="ignore"):
        return matrix(rows, n_features, np.float32), np.array(labels)


def read_vw(content, n_bits):
    """Return X and y of a text in Vowpal Wabbit's format, namespaces in shared columns."""
    rows, labels = [], []
    for line in content.split(b"\n"):
        if not tokens(line, VW_SPACES):
            continue
        head, bar, rest = line.partition(b"|")
        if not bar:
            raise ValueError("no bar")
        label = _head(head)
        labels.append(label)
        rows.append([entry for space in rest.split(b"|") for entry in _namespace(space, n_bits)])
    if any(label is None for label in labels):
        raise ValueError("some rows have no label")
    return matrix(rows, 1 << n_bits, np.float32), np.array(labels, dtype=np.float64)


def _head(text):
    found = tokens(text, VW_SPACES)
    if found and (found[-1].startswith(b"'") or text[-1:] not in VW_SPACES):
        found.pop()  # the tag
    numbers = [number(token) for token in found]
    if len(numbers) > 3 or (len(numbers) > 1 and numbers[1] < 0):
        raise ValueError("head")
    return numbers[0] if numbers else None


def _namespace(text, n_bits):
    if text and text[:1] not in (b" ", b"\t", b"\r"):
        name, *found = re.split(b"[" + VW_SPACES + b"]", text)
    else:
        name, found = b"", [text]
    found = [token for part in found for token in tokens(part, VW_SPACES)]
    name, colon, scale = name.partition(b":")
    scale = number(scale) if colon else 1.0
    seed = murmurhash3_32(name, 0, positive=True)
    n_nameless = 0
    for token in found:
        feature, colon, value = token.partition(b":")
        column = murmurhash3_32(feature, seed, positive=True)
        if NO_STRING.match(value) and colon:
            value = number(value) * scale
            column, n_nameless = (column, n_nameless) if feature else (column + n_nameless, n_nameless + 1)
        elif colon:
            column, value = murmurhash3_32(value, column, positive=True), 1.0
        else:
            value = scale
        yield column % (1 << n_bits), np.float32(value)
