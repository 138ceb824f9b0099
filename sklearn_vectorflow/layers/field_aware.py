"""Field-aware factorization machines, computed in engine/kernels/layers/field_pairs.h."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sklearn_vectorflow.layers.factorization import Factors
from sklearn_vectorflow.layers.groups import group_numbers
from sklearn_vectorflow.optimizers import Optimizer
from sklearn_vectorflow.penalties import Penalty
from sklearn_vectorflow.validation.errors import brief
from sklearn_vectorflow.validation.types import Array

MOST_FIELDS = 4096  # a row's sums take the square of it


class FieldAwareFactorizationMachine(Factors):
    r"""Interactions of all pairs of inputs, with embeddings that depend on the field of the other input.

    .. math:: \sum_{i < j} \langle v_{i, f(j)}, v_{j, f(i)} \rangle x_i x_j

    Each input belongs to a field, such as "user", "city" or "device", and has an embedding for each field. The cost is
    proportional to the non-zeros times the fields times the rank. The layer has neither a linear part nor intercepts:
    add it to a :class:`Linear` layer, as :func:`field_aware_factorization_machine` does.

    Parameters
    ----------
    fields : array-like of int of shape (n_in,), dict of {name: columns} or None, default=None
        The field of each input: its number, from 0 on. Or the columns in each field, as a slice, column numbers or
        feature names (like ``HashingEncoder(groups=True).groups_``). Every column must be in one field. None means that
        the layer reads a :class:`Concat`, whose nodes are the fields, such as several ``Input(columns=...)``.
    rank : int, default=4
        Length of the embeddings.
    n_out : int or None, default=None
        Number of outputs, each with its own embeddings. None means the number that the loss needs, for output nodes.
    optimizer, penalty, init, frozen, name
        As for :class:`Linear`. Embeddings have shape (n_in, n_out * n_fields * rank), in this order, and the initial
        standard deviation 0.1 / sqrt(rank).

    See Also
    --------
    FactorizationMachine : One embedding for each input.

    Notes
    -----
    Optimizers and penalties treat all embeddings of an input as one record: a row that has the input touches them all.
    An input's embedding for its own field is needed only if rows have several inputs of that field. Each row of a
    mini-batch takes as much memory as the embeddings of ``n_fields`` inputs.

    References
    ----------
    Juan, Zhuang, Chin and Lin (2016), "Field-aware factorization machines for CTR prediction",
    doi:10.1145/2959100.2959134.

    Examples
    --------
    >>> from sklearn_vectorflow import VectorFlowClassifier
    >>> from sklearn_vectorflow.layers import Add, FieldAwareFactorizationMachine, Input, Linear
    >>> x = Input()
    >>> fields = {"user": slice(0, 100), "item": slice(100, 150), "city": slice(150, 160)}
    >>> network = Add()([Linear()(x), FieldAwareFactorizationMachine(fields, rank=4)(x)])
    >>> model = VectorFlowClassifier(network=network)
    """

    def __init__(
        self,
        fields: ArrayLike | Mapping[Any, Any] | None = None,
        rank: int = 4,
        n_out: int | None = None,
        *,
        optimizer: str | Optimizer | None = None,
        penalty: Penalty | Sequence[Penalty] | None = None,
        init: Any = None,
        frozen: bool = False,
        name: str | None = None,
    ) -> None:
        self.fields = fields
        self.rank = rank
        self.n_out = n_out
        self.optimizer = optimizer
        self.penalty = penalty
        self.init = init
        self.frozen = frozen
        self.name = name

    def fields_of(
        self, n_in: int, parts: Sequence[int] | None = None, feature_names: ArrayLike | None = None
    ) -> tuple[Array, int]:
        """Return the field of each input, and the number of fields.

        Parameters
        ----------
        n_in : int
            Number of inputs.
        parts : list of int, default=None
            How many of them are of each node that is concatenated.
        feature_names : array-like of str, default=None
            Names of the inputs, if they are columns of X that have names.

        Returns
        -------
        fields : ndarray of int32, shape (n_in,)
        n_fields : int

        Raises
        ------
        TypeError, ValueError
            If `fields` does not say it for such inputs.
        """
        owner = f"network: {self.label}"
        if self.fields is None:
            if parts is None:
                raise ValueError(f"{owner}: fields=None needs a Concat of inputs, each of which is a field.")
            fields, n_fields = np.repeat(np.arange(len(parts)), parts), len(parts)
        elif isinstance(self.fields, Mapping):
            fields, n_fields = self._named(owner, n_in, feature_names), len(self.fields)
        else:
            fields = self._numbers(owner, n_in)
            n_fields = int(fields.max()) + 1
        if n_fields > MOST_FIELDS:
            raise ValueError(f"{owner}: fields must be at most {MOST_FIELDS} in number, got {n_fields}.")
        return fields.astype(np.int32), n_fields

    def add_to(self, net: Any, parent: Any, fields: Any, record: Any, *arguments: Any) -> None:
        """Add the layer to the engine's net. `fields` are what `fields_of` returns."""
        net.add_field_pairs(parent, *fields, self.rank, record, *arguments)

    def _numbers(self, owner, n_in):
        try:
            fields = np.asarray(self.fields)
        except ValueError:  # of lists of unlike lengths
            fields = np.empty(0)
        if fields.dtype.kind not in "iu":
            raise TypeError(
                f"{owner}: fields must be integers, a field for each input, or a dict of columns; got "
                f"{brief(self.fields)}."
            )
        if fields.shape != (n_in,):
            raise ValueError(f"{owner}: fields must have shape ({n_in},), a field for each input, got {fields.shape}.")
        if fields.min() < 0:
            raise ValueError(f"{owner}: fields must not be negative, got {fields.min()}.")
        return fields

    def _named(self, owner, n_in, feature_names):
        fields = group_numbers(owner, "field", self.fields, n_in, feature_names)
        if np.any(fields < 0):
            raise ValueError(f"{owner}: fields has no field for column {np.argmin(fields)}.")
        return fields
