"""Rows of a part as full passes take them."""

import contextlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from sklearn_vectorflow.cluster.parts import SourcePart, blocks_of, part_of
from sklearn_vectorflow.engine.exact import sweeps
from sklearn_vectorflow.exact.design import Design
from sklearn_vectorflow.exact.losses import Losses
from sklearn_vectorflow.exact.objective import Objective
from sklearn_vectorflow.exact.stores import RowStore, arrays_of
from sklearn_vectorflow.exact.terms import Terms
from sklearn_vectorflow.losses.doors import kernel_of
from sklearn_vectorflow.threads import Crew
from sklearn_vectorflow.validation.errors import naming


@dataclass(frozen=True, eq=False)
class Setting:
    """What all passes over parts share.

    Parameters
    ----------
    template : Template
    layout : Layout
    columns : ndarray of int32 or None, default=None
        Columns of X that occur in any part, increasing; None if they are all.
    structure : str, default=None
        How the loss couples outputs, see `exact.curvature.structure_of`.
    """

    template: Any
    layout: Any
    columns: Any = None
    structure: str | None = None

    @property
    def n(self):
        """Number of columns of the design of all parts, that of ones among them."""
        n_columns = self.template.network.n_features if self.columns is None else len(self.columns)
        return n_columns + self.layout.intercept

    @property
    def n_constant(self):
        """Outputs that are the same for all rows."""
        return self.template.network.n_outputs - self.layout.n_linear


class Block:
    """Some rows of a part, and the sum of their losses as a function of the weights of the columns they have.

    Values, and columns where all occur, are those of the part and not copied.

    Parameters
    ----------
    setting : Setting
    data : Data

    Attributes
    ----------
    where : ndarray of int or None
        Which columns of the design of all parts these rows have, that of ones among them, increasing; None is all.
    """

    def __init__(self, setting, data):
        template = setting.template
        self.n_workers = template.estimator._n_workers(data, template.network)
        self.y = data.dense_targets(0, data.matrix.shape[0])
        self.weight, self.offset = weights_of(data), data.offset
        self.arrays, self.n_columns, self.where = arrays_of(data.matrix), data.matrix.shape[1], None
        some = np.flatnonzero(counts_of(self.arrays, self.n_columns))
        if len(some) < self.n_columns:
            place = np.empty(self.n_columns, dtype=np.int32)
            place[some] = np.arange(len(some), dtype=np.int32)
            values, indices, indptr = self.arrays
            self.arrays, self.n_columns = (values, place[indices], indptr), len(some)
            where = some if setting.columns is None else np.searchsorted(setting.columns, some)
            self.where = np.append(0, where + 1) if setting.layout.intercept else where

    def own(self, values):
        """Return of values by the columns of all parts those of the columns here."""
        return np.ascontiguousarray(values if self.where is None else values[self.where])

    @contextlib.contextmanager
    def objective(self, setting):
        """Give the sum of the losses, whose threads end with the context."""
        template, layout = setting.template, setting.layout
        with Crew(self.n_workers) as crew:
            design = Design(RowStore(self.arrays, self.n_columns, crew), layout.intercept)
            scale = template.network.scales.output
            losses = Losses(
                kernel_of(template.estimator._loss), self.y, self.weight, scale, design.parts, crew, total=1.0
            )
            no_penalties = Terms({}, design, layout.n_linear)
            yield Objective(design, losses, no_penalties, self.offset, setting.structure)


def counts_of(arrays, n_columns):
    """Return how many entries each column has, of values, columns and row starts."""
    _, indices, indptr = arrays
    counts = np.zeros(n_columns, dtype=np.int32)
    sweeps.count_columns(indices, int(indptr[0]), int(indptr[-1]), counts)
    return counts


def weights_of(data):
    """Return weights of rows, which are ones where none are given."""
    if data.weight is None:
        return np.ones(data.matrix.shape[0])
    return np.ascontiguousarray(data.weight, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class PartBlocks:
    """The blocks of a part: held where rows are in memory, and read anew for every pass where they come from a source.

    Parameters
    ----------
    number : int
    held : list of Block or None
    part : SourcePart or None
    """

    number: int
    held: Any
    part: Any

    @classmethod
    def of(cls, setting, number, values):
        """Return those of a part, as a task gets it."""
        part = part_of(values)
        if isinstance(part, SourcePart):
            return cls(number, None, part)
        return cls(number, list(_read(setting, number, part)), None)

    def each(self, setting):
        """Iterate over the blocks."""
        return iter(self.held) if self.part is None else _read(setting, self.number, self.part)


def data_of(template, number, part):
    """Iterate over the rows of a part as training takes them."""
    with naming(f"part {number}"):
        for rows in blocks_of(template.estimator, part):
            yield template.data(template.estimator, rows)


def _read(setting, number, part):
    for data in data_of(setting.template, number, part):
        yield Block(setting, data)
