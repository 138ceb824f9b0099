"""From objects to JSON and arrays. JSON objects have one key, which says what they stand for."""

import math

import numpy as np
from scipy import sparse

from sklearn_vectorflow.network.records import LinearParameters
from sklearn_vectorflow.persistence.container import NAMES
from sklearn_vectorflow.validation.errors import brief

VIEWED = "SmM"  # kinds of types that are stored as their bytes


class Encoder:
    """Turns values into JSON, and collects arrays by the place where they were found.

    Objects and arrays that are met twice are stored once. States are those of pickles, but for weights, which stay
    as they lie in memory, so that they can be mapped.

    Parameters
    ----------
    types : dict of str to type or function
        What may be stored by its name.

    Attributes
    ----------
    arrays : dict of str to ndarray
    """

    def __init__(self, types):
        self.arrays = {}
        self._names = {kind: name for name, kind in types.items()}
        self._met = {}  # number and object by id, which keeps them
        self._stored = {}

    def encode(self, value, where):
        """Return the JSON of a value; `where` says in messages where it was found.

        Raises
        ------
        TypeError
            If it, or something in it, cannot be stored.
        """
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"float": repr(value)}
        if type(value) is list:
            return [self.encode(one, f"{where}[{place}]") for place, one in enumerate(value)]
        if isinstance(value, np.ndarray):
            return self._array(value, where)
        if isinstance(value, np.generic) and (value.dtype.newbyteorder("<") in NAMES or value.dtype.kind == "U"):
            return {"scalar": [type_of(value), self.encode(value.item(), where)]}
        if type(value) is tuple:
            return {"tuple": self.encode(list(value), where)}
        if type(value) is dict:
            return {"dict": [self._pair(name, one, where) for name, one in value.items()]}
        if isinstance(value, (slice, range)):
            return {
                type(value).__name__: [self.encode(getattr(value, part), where) for part in ("start", "stop", "step")]
            }
        if sparse.issparse(value) and value.format in ("csr", "csc"):
            return {"sparse": self._sparse(value, where)}
        if type(value) is np.random.RandomState:
            return {"random_state": self.encode(value.get_state(legacy=False), where)}
        return self._object(value, where)

    def _pair(self, name, value, where):
        inside = f"{where}.{name}" if where else name
        return [self.encode(name, where), self.encode(value, inside if type(name) is str else f"{where}[{name!r}]")]

    def _object(self, value, where):
        name = self._names.get(value) if callable(value) and hasattr(value, "__qualname__") else None
        if name is not None:
            return {"name": name}
        name = self._names.get(type(value))
        if name is None:
            raise TypeError(
                f"{where or 'The estimator'} is {brief(value)}, which is not part of sklearn_vectorflow: only its name "
                "could be saved. Pass it, or its class, as trusted=[...] to save and to load, or use pickle or skops."
            )
        if id(value) in self._met:
            return {"same": self._met[id(value)][0]}
        self._met[id(value)] = len(self._met), value
        state = dict(vars(value)) if isinstance(value, LinearParameters) else value.__getstate__()
        return {"object": [name, self.encode({} if state is None else state, where)]}

    def _sparse(self, X, where):
        parts = [self._array(getattr(X, part), f"{where}.{part}") for part in ("data", "indices", "indptr")]
        return [X.format, isinstance(X, sparse.sparray), [int(size) for size in X.shape], *parts]

    def _array(self, array, where):
        found = self._stored.get(id(array))
        if found is None:
            found = self._stored[id(array)] = self._new_array(np.asarray(array), where), array
        return found[0]

    def _new_array(self, array, where):
        if array.dtype.newbyteorder("<") in NAMES:
            return {"array": self._put(array, where)}
        if array.dtype.kind == "U" or array.dtype.kind == "O" and all(type(one) is str for one in array.flat):
            letters = [one.encode("utf-8", "surrogatepass") for one in array.ravel().tolist()]
            text = np.frombuffer(b"".join(letters), np.uint8)
            ends = np.cumsum([len(one) for one in letters], dtype=np.int64)
            places = [self._put(text, f"{where}.text"), self._put(ends, f"{where}.ends")]
            return {"strings": [type_of(array), list(array.shape), *places]}
        if array.dtype.kind == "O":
            return {"objects": [list(array.shape), self.encode(array.ravel().tolist(), where)]}
        if array.dtype.kind in VIEWED and array.dtype.itemsize:
            content = np.frombuffer(array.tobytes(), np.uint8)
            return {"viewed": [array.dtype.str, list(array.shape), self._put(content, where)]}
        raise TypeError(f"{where} is an array of {array.dtype}, which cannot be saved.")

    def _put(self, array, where):
        while where in self.arrays:  # a point in a key
            where += "'"
        self.arrays[where] = array
        return where


def type_of(values):
    """Return the code of a type; that of strings without their length."""
    return values.dtype.kind if values.dtype.kind in "OU" else values.dtype.newbyteorder("<").str
