"""From JSON and arrays back to objects. Names are looked up among given types: nothing is imported, nothing called."""

import inspect

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator

from sklearn_vectorflow.persistence.container import NAMES
from sklearn_vectorflow.persistence.encoding import VIEWED
from sklearn_vectorflow.validation.errors import brief
from sklearn_vectorflow.validation.sparse import checked


class Decoder:
    """Turns what an `Encoder` has made back into values.

    Parameters
    ----------
    types : dict of str to type or function
        What a file may name.
    arrays : dict of str to ndarray
    """

    def __init__(self, types, arrays):
        self._types = types
        self._arrays = arrays
        self._met = []

    def decode(self, node):
        """Return the value of a JSON node.

        Raises
        ------
        Exception
            Of some kind, if the node is not of an `Encoder`.
        """
        if isinstance(node, list):
            return [self.decode(one) for one in node]
        if not isinstance(node, dict):
            return node
        ((kind, content),) = node.items()
        return _READERS[kind](self, content)

    def _named(self, name):
        if name not in self._types:
            raise ValueError(
                f"it names {name!r}, which is neither of sklearn_vectorflow nor in trusted. If you trust it, pass the "
                "class or function in trusted=[...]."
            )
        return self._types[name]

    def _object(self, content):
        name, state = content
        kind = self._named(name)
        if not isinstance(kind, type):
            raise ValueError(f"{name!r} is not a class.")
        made = object.__new__(kind)
        self._met.append(made)
        state = self.decode(state)
        if not isinstance(state, dict):
            raise ValueError(f"the state of {name} is {brief(state)}.")
        state = {**_defaults(kind), **state}  # a file of an earlier release lacks parameters added since
        if hasattr(made, "__setstate__"):
            made.__setstate__(state)
        else:
            vars(made).update(state)
        return made

    def _scalar(self, content):
        code, value = content
        if code != "U" and np.dtype(code) not in NAMES:
            raise ValueError(f"{code} is not the type of a number or string.")
        return np.array(self.decode(value), code)[()]

    def _sparse(self, content):
        layout, is_array, shape, *parts = content
        kinds = {"csr": (sparse.csr_matrix, sparse.csr_array), "csc": (sparse.csc_matrix, sparse.csc_array)}
        X = kinds[layout][bool(is_array)](tuple(self.decode(part) for part in parts), tuple(shape))
        checked(X, "a sparse matrix")
        return X

    def _strings(self, content):
        code, shape, text, ends = content
        letters = self._arrays[text].tobytes()
        if code not in ("O", "U"):
            raise ValueError(f"{code} is not a type of strings.")
        ends = [0, *self._arrays[ends].tolist()]
        strings = [letters[a:b].decode("utf-8", "surrogatepass") for a, b in zip(ends, ends[1:])]
        return np.array(strings, code).reshape(shape)

    def _viewed(self, content):
        code, shape, name = content
        if np.dtype(code).kind not in VIEWED:
            raise ValueError(f"{code} is not a type that is stored as bytes.")
        return np.frombuffer(self._arrays[name].tobytes(), code).reshape(shape).copy()

    def _random_state(self, content):
        random_state = np.random.RandomState()
        random_state.set_state(self.decode(content))
        return random_state


def _defaults(kind):
    """Return the parameters of a class that have default values, with these."""
    if not issubclass(kind, BaseEstimator):
        return {}
    parameters = inspect.signature(kind.__init__).parameters.items()
    return {name: one.default for name, one in parameters if one.default is not one.empty}


def _objects(values, shape):
    array = np.empty(len(values), object)
    array[:] = values
    return array.reshape(shape)


_READERS = {
    "array": lambda self, name: self._arrays[name],
    "dict": lambda self, pairs: {self.decode(name): self.decode(value) for name, value in pairs},
    "float": lambda self, text: float(text),
    "name": Decoder._named,
    "object": Decoder._object,
    "objects": lambda self, content: _objects(self.decode(content[1]), content[0]),
    "random_state": Decoder._random_state,
    "range": lambda self, content: range(*content),
    "same": lambda self, number: self._met[number],
    "scalar": Decoder._scalar,
    "slice": lambda self, content: slice(*self.decode(content)),
    "sparse": Decoder._sparse,
    "strings": Decoder._strings,
    "tuple": lambda self, content: tuple(self.decode(content)),
    "viewed": Decoder._viewed,
}
