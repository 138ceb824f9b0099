"""Arrays of one linear layer: a record of weights and optimizer state a feature."""

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy import sparse

from sklearn_vectorflow.network.memory import lines, of_records, padded, zeros
from sklearn_vectorflow.validation.errors import restoring
from sklearn_vectorflow.validation.sparse import checked

LONGEST_CLOCK = 2  # numbers that tell what a record has missed
CHUNK = 1 << 16  # records copied at a time
CACHED = 1_000_000  # bytes of weights and state that a core's own cache keeps


@dataclass(frozen=True)
class Layout:
    """Where in a record each kind of state lies; -1 where there is none.

    A record holds `n_out` weights, then the optimizer's state of every weight and of
    the feature, then its clock, then the running mean of the weights. Where the weights
    follow from the state, they may stand apart, in an array of their own that is written
    when training is settled.
    """

    n_out: int
    slot1: int = -1
    slot2: int = -1
    row: int = -1
    clock: int = -1
    average: int = -1
    stride: int = 0
    apart: bool = False

    @classmethod
    def plan(cls, n_out, *, per_weight=0, per_feature=0, clock_size=0, averaged=False, apart=False):
        """Place the state one after the other."""
        places, end = {}, 0 if apart else n_out
        for name, present, size in (
            ("slot1", per_weight >= 1, n_out),
            ("slot2", per_weight >= 2, n_out),
            ("row", per_feature > 0, per_feature),
            ("clock", clock_size > 0, clock_size),
            ("average", averaged, n_out),
        ):
            if present:
                places[name] = end
                end += size
        # three numbers would straddle cache lines in every fifth record, five in every third
        stride = 4 if end == 3 > n_out else 8 if n_out == 1 and 4 < end < 8 else end
        return cls(n_out, stride=stride, apart=apart, **places)

    @property
    def is_planned(self):
        """Whether `plan` gives it, so that all of its state lies inside of a record."""
        per_weight = (self.slot1 >= 0) + (self.slot2 >= 0)
        kinds = {"per_weight": per_weight, "per_feature": self.per_feature, "averaged": self.average >= 0}
        return self.n_out >= 1 and any(
            self == Layout.plan(self.n_out, clock_size=size, apart=self.apart, **kinds)
            for size in range(LONGEST_CLOCK + 1)
        )

    @property
    def state(self):
        """Which kinds of optimizer state there are: every rule has its own."""
        return self.slot1 >= 0, self.slot2 >= 0, self.row >= 0

    @property
    def per_feature(self):
        """How many numbers of state a feature has, whatever its weights: two where they are moments of Adam."""
        return 0 if self.row < 0 else 2 if self.slot1 >= 0 > self.slot2 else 1

    @property
    def is_timed(self):
        """Whether clocks are the sum of the learning rates so far, as SGD's are: steps follow it only for means."""
        return self.clock >= 0 and not any(self.state)

    @property
    def clock_size(self):
        """How many numbers tell what a record has missed."""
        return 0 if self.clock < 0 else 1 + (self.is_timed and self.average >= 0)

    def of_width(self, n_out):
        """Return the layout of the same kinds of state for another number of weights."""
        return Layout.plan(
            n_out,
            per_weight=(self.slot1 >= 0) + (self.slot2 >= 0),
            per_feature=self.per_feature,
            clock_size=self.clock_size,
            averaged=self.average >= 0,
            apart=self.apart,
        )

    def offsets(self):
        """Return the offsets as the engine names them."""
        return {name: getattr(self, name) for name in ("slot1", "slot2", "row", "clock", "average")}

    def numbers(self):
        """Return slices of all there is in a record but its clock, which is no float; weights come first."""
        weights = 0 if self.apart else self.n_out
        state = [slice(weights, self.stride if self.clock < 0 else self.clock)]
        means = [slice(self.average, self.average + self.n_out)] if self.clock >= 0 and self.average >= 0 else []
        return [one for one in (slice(0, weights), *state, *means) if one.stop > one.start]


@dataclass
class LinearParameters:
    """Weights and state of a linear layer.

    Parameters
    ----------
    n_in : int
    layout : Layout
    fit_intercept : bool
    """

    n_in: int
    layout: Layout
    fit_intercept: bool = True
    record: Any = field(default=None, repr=False)
    bias: Any = field(default=None, repr=False)
    values: Any = field(default=None, repr=False)
    bias_values: Any = field(default=None, repr=False)

    def __post_init__(self):
        layout = self.layout
        if self.record is None:
            # zeros are only reserved: memory comes with the first touch of a feature
            n_records, n_intercepts = self._counts
            self.record = of_records(n_records, layout.stride)
            self.bias = np.zeros((n_intercepts, layout.stride), dtype=np.float32) if self.fit_intercept else None
        if layout.apart and self.values is None:
            n_records, n_intercepts = self._counts
            self.values = zeros(n_records, layout.n_out)
            self.bias_values = np.zeros((n_intercepts, layout.n_out), dtype=np.float32) if self.fit_intercept else None

    @property
    def _counts(self):
        """Records of weights, and of intercepts."""
        return self.n_in, 1

    @property
    def is_small(self):
        """Whether a core's own cache keeps the records."""
        return self.record.nbytes <= CACHED

    @property
    def averaged(self):
        return self.layout.average >= 0

    def by_record(self, averaged=False):
        """Return the weights of every record, a view; or their running means."""
        return self._span(self.record, self.values, averaged)

    def intercepts_by_record(self, averaged=False):
        """Return the intercepts of every record of them, a view; or their running means."""
        return self._span(self.bias, self.bias_values, averaged)

    def _span(self, records, values, averaged):
        if self.layout.apart:
            return values
        start = self.layout.average if averaged and self.averaged else 0
        return records[:, start : start + self.layout.n_out]

    def weights(self, averaged=False):
        """Return the weights, a view of shape (n_in, n_out); or their running means."""
        return self.by_record(averaged)

    def by_feature(self, averaged=False):
        """Return the weights with those of a feature side by side in memory."""
        return self.weights(averaged)

    def intercept(self, averaged=False):
        """Return the intercepts, a view of shape (n_out,)."""
        if self.bias is None:
            return np.zeros(self.layout.n_out, dtype=np.float32)
        return self.intercepts_by_record(averaged)[0]

    def leave_units(self, units, averaged):
        """Let weights, and their running means if there are any, read columns as they are.

        Parameters
        ----------
        units : ColumnUnits
            Of all columns that they read, in which they were trained.
        averaged : bool
        """
        columns, own = units.changed()  # of others, memory may be reserved only
        for means in {False, averaged}:
            weights = self.weights(means)
            changed = weights[columns] / own.size[:, None]
            weights[columns] = changed
            if self.bias is not None:
                self.intercept(means)[:] -= own.center @ changed

    def moved_to(self, layout, averaged=False):
        """Return the same weights (or their means) in another layout, with fresh state."""
        new = replace(self, layout=layout, record=None, bias=None, values=None, bias_values=None)
        new.weights()[:] = self.weights(averaged)
        if self.bias is not None:
            new.intercept()[:] = self.intercept(averaged)
        return new

    def continued_in(self, layout, averaged, progress, with_state):
        """Return the same weights (or their means) in another layout, up to date.

        Parameters
        ----------
        layout : Layout
        averaged : bool
        progress : tuple of (int, float)
            Up to which weights have missed nothing.
        with_state : bool
            Whether the optimizer's state comes along, which both layouts must have.
        """
        new, old = self.moved_to(layout, averaged), self.layout
        for mine, theirs in ((new.record, self.record), (new.bias, self.bias)):
            if mine is None:
                continue
            for name, size in (("slot1", layout.n_out), ("slot2", layout.n_out), ("row", layout.per_feature)):
                to, start = getattr(layout, name), getattr(old, name)
                if with_state and to >= 0:
                    mine[:, to : to + size] = theirs[:, start : start + size]
            stamp(mine, layout, *progress)
        return new

    def take_over(self, old, spans, outputs=None):
        """Fill in the weights and the state of others, of which these have more.

        Parameters
        ----------
        old : LinearParameters
            In a layout of the same kinds of state.
        spans : list of (int, int, int)
            Where their records are, and how many follow each other: (first here, first there, number).
        outputs : Outputs, default=None
            What outputs were before; None where they are the same.
        """
        for here, there, n in spans:
            for start in range(0, n, CHUNK):
                size = min(CHUNK, n - start)
                own, theirs = slice(here + start, here + start + size), slice(there + start, there + start + size)
                if old.record[theirs].any() or self.by_record()[own].any():  # else memory stays reserved only
                    self._fill(self.record[own], old.record[theirs], old.layout, outputs)
                    if self.layout.apart:
                        _fill_weights(self.values[own], old.values[theirs], outputs)
        if self.bias is not None:
            self._fill(self.bias, old.bias, old.layout, outputs)
            if self.layout.apart:
                _fill_weights(self.bias_values, old.bias_values, outputs)

    def _fill(self, record, old, before, outputs):
        if outputs is None:
            record[:] = old
        else:
            outputs.fill(record, self.layout, old, before)

    def extent(self, some):
        """Return whether some records and the intercepts are finite, and the size of their largest weight.

        Where weights follow from the state, that is the largest number of it.
        """
        finite, largest = True, 0.0
        for block in [self.record[some]] if self.bias is None else [self.record[some], self.bias]:
            for span in self.layout.numbers():
                part = block[:, span]
                if not part.size:
                    continue
                size = max(-float(part.min()), float(part.max()))
                finite = finite and math.isfinite(size)
                if span.start == 0:
                    largest = max(largest, size)
        return finite, largest

    def copy(self):
        """Return a copy, state and all."""
        arrays = {name: getattr(self, name) for name in ("record", "bias", "values", "bias_values")}
        return replace(self, **{name: None if old is None else old.copy() for name, old in arrays.items()})

    @property
    def is_writable(self):
        """Whether all arrays can be written to, which those mapped from a file can't."""
        arrays = (self.record, self.bias, self.values, self.bias_values)
        return all(old is None or old.flags.writeable for old in arrays)

    def writable(self):
        """Return parameters whose arrays can be written to: these, or copies."""
        return self if self.is_writable else self.copy()

    def without_features(self):
        """Return the intercepts alone, with their state."""
        values = None if self.values is None else self.values[:0]
        return replace(self, n_in=0, record=self.record[:0], values=values)

    def __getstate__(self):
        state = self.__dict__.copy()
        state["record"] = _packed(self.record)
        if self.values is not None:
            state["values"] = _packed(self.values)
        return state

    def __setstate__(self, state):
        with restoring():
            self.__dict__.update(state)
            self._restore()

    def _restore(self):
        """Check what a pickle held, and unpack it: the engine goes by the layout, and looks at no shape.

        Raises
        ------
        ValueError
            If an array has not the shape and type that the layout asks for.
        """
        layout, (n_records, n_intercepts) = self.layout, self._counts
        if not (isinstance(layout, Layout) and layout.is_planned and min(n_records, n_intercepts) >= 0):
            raise ValueError(f"The pickle is damaged: it has weights of {n_records} records in the layout {layout!r}.")
        for name, n, width, is_there in (
            ("record", n_records, layout.stride, True),
            ("bias", n_intercepts, layout.stride, self.fit_intercept),
            ("values", n_records, layout.n_out, layout.apart),
            ("bias_values", n_intercepts, layout.n_out, layout.apart and self.fit_intercept),
        ):
            setattr(self, name, _restored(getattr(self, name), name, (n, width) if is_there else None))


def side_by_side(parameters):
    """Return the same parameters with all that a column owns in one place, so that it costs one cache miss.

    Parameters
    ----------
    parameters : list of LinearParameters
        Of layers that read the same columns. Records of zeros only reserve memory, and still do so here.
    """
    strides = [one.layout.stride for one in parameters]
    ends = np.cumsum(strides)
    if len(parameters) == 1 or _are_beside(parameters, ends):
        return parameters
    joint = lines(parameters[0].n_in, padded(int(ends[-1])))
    found = []
    for one, stride, end in zip(parameters, strides, ends):
        record = joint[:, end - stride : end]
        for start in range(0, one.n_in, CHUNK):
            span = slice(start, start + CHUNK)
            if one.record[span].any():
                record[span] = one.record[span]
        found.append(replace(one, record=record))
    return found


def _are_beside(parameters, ends):
    first = parameters[0].record
    places = [one.record.__array_interface__["data"][0] for one in parameters]
    apart = np.diff(places) // first.itemsize
    return len({one.record.strides for one in parameters}) == 1 and np.array_equal(apart, np.diff(ends, prepend=0)[:-1])


def _fill_weights(values, old, outputs):
    if outputs is None:
        values[:] = old
    else:
        outputs.fill_weights(values, old)


def stamp(record, layout, step, elapsed):
    """Say up to which step, and which sum of rates, records have caught up, as kernels/optimizers/record.h reads it.

    Parameters
    ----------
    record : ndarray of float32, shape (n_records, stride)
    layout : Layout
    step : int or ndarray of int of shape (n_records,) or (n_records, 1)
    elapsed : float or ndarray of float, of the same shape
    """
    if layout.clock < 0:
        return
    steps = np.asarray(step, dtype=np.int64).ravel().astype(np.uint32).view(np.float32)
    if layout.is_timed:
        record[:, layout.clock] = np.ravel(elapsed)
    if layout.clock_size > layout.is_timed:
        record[:, layout.clock + layout.is_timed] = steps


@dataclass
class OutputParameters(LinearParameters):
    """Weights and state of a layer whose outputs are read and stepped one by one.

    Every weight has a record, and the records of an output lie together.

    Parameters
    ----------
    n_in, layout, fit_intercept
        As for `LinearParameters`; layout.n_out is 1.
    n_outputs : int
    """

    n_outputs: int = 1

    @property
    def _counts(self):
        return self.n_in * self.n_outputs, self.n_outputs

    def weights(self, averaged=False):
        """Return the weights, a view of shape (n_in, n_outputs); or their running means."""
        return self.by_record(averaged).reshape(self.n_outputs, self.n_in).T

    def take_over(self, old, spans, outputs=None):
        """Fill in the weights and the state of others, of which these have more."""
        kept = np.arange(self.n_outputs) if outputs is None else outputs.kept
        sources = kept if outputs is None else outputs.sources[kept]
        for mine, theirs in ((self.record, old.record), (self.values, old.values)):
            if mine is None:
                continue
            mine = mine.reshape(self.n_outputs, self.n_in, -1)
            theirs = theirs.reshape(old.n_outputs, old.n_in, -1)
            for here, there, n in spans:
                at_once = max(1, CHUNK // n)
                for start in range(0, len(kept), at_once):
                    some = slice(start, start + at_once)
                    mine[kept[some], here : here + n] = theirs[sources[some], there : there + n]
        for mine, theirs in ((self.bias, old.bias), (self.bias_values, old.bias_values)):
            if mine is not None:
                mine[kept] = theirs[sources]

    def by_feature(self, averaged=False):
        """Return a copy of the weights with those of a feature side by side in memory."""
        return np.ascontiguousarray(self.weights(averaged))

    def intercept(self, averaged=False):
        """Return the intercepts, a view of shape (n_outputs,)."""
        if self.bias is None:
            return np.zeros(self.n_outputs, dtype=np.float32)
        return self.intercepts_by_record(averaged)[:, 0]


def _packed(array):
    """A mostly zero array as CSC, which has no entry for every feature."""
    array = np.ascontiguousarray(array)
    if np.count_nonzero(array) * 3 < array.size:
        kept = sparse.csc_array(array != 0)  # asked once: training may change what is zero meanwhile
        columns = np.repeat(np.arange(array.shape[1]), np.diff(kept.indptr))
        return sparse.csc_array((array[kept.indices, columns], kept.indices, kept.indptr), array.shape)
    return array


def _restored(array, name, shape):
    """An array of float32 in C order, after a check that it is of a shape; None where there is none to be."""
    if shape is None and array is None:
        return None
    if shape is None or getattr(array, "shape", None) != shape or getattr(array, "dtype", None) != np.float32:
        given = None if array is None else f"{getattr(array, 'dtype', type(array))} of shape {np.shape(array)}"
        raise ValueError(f"The pickle is damaged: {name} must be float32 of shape {shape}, got {given}.")
    if sparse.issparse(array):
        return checked(array, name).toarray(order="C")
    return np.ascontiguousarray(array)
