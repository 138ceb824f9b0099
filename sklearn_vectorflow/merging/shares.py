"""How much of what each state gained the merged one takes."""

import numpy as np

from sklearn_vectorflow.engine.merging import add_gains
from sklearn_vectorflow.merging.records import records_of
from sklearn_vectorflow.network.records import stamp


def progress_weight(rho):
    r"""Return :math:`\rho / (1 - e^{-\rho})`, 1 where nothing was learned.

    A weight that learns from information worth rho goes the share :math:`1 - e^{-\rho}` of the way to its
    optimum. So gains of many, each relative to its own share, make the way of all of them together.
    """
    rho = np.asarray(rho, dtype=np.float64)
    small = rho < 1e-8
    safe = np.where(small, 1.0, rho)
    return np.where(small, 1.0 + 0.5 * rho, safe / -np.expm1(-safe))


class Gathered:
    """Sums over states of what some records gained, in memory that serves one stretch of records after the other.

    Parameters
    ----------
    layer : LayerState
        Any of the layer.
    of_bias : bool
        Whether its intercepts are meant.
    most : int
        Records of a stretch.
    since : NetState
        The state that all began from.
    coupling : float
        How many times over a weight's own information its optimum depends on what the other weights gained.
    """

    def __init__(self, layer, of_bias, most, since, coupling):
        self.since = since
        self.coupling = coupling
        records, layout = records_of(layer, of_bias), layer.layout
        n_learned = records.information(np.zeros((1, layout.stride), dtype=np.float32)).shape[1]
        self.moved = np.array(records.moved, dtype=np.int64).reshape(-1, layout.n_out)
        self._count = np.empty(most, dtype=np.int64)
        self._last = np.empty((most, layout.stride), dtype=np.float32)
        self._steps, self._elapsed = np.empty((most, 1), dtype=np.int64), np.empty((most, 1))
        self._learned = np.empty((5, most, n_learned))
        self._of_weights = np.empty((2, most, layout.n_out))
        self._of_state = np.empty((len(self.moved), most, layout.n_out))
        self._means = None if layout.average < 0 else np.empty((most, layout.n_out))

    def begin(self, records, before):
        """Begin with some records.

        Parameters
        ----------
        records : Records
        before : ndarray of float32, shape (n, stride)
            What all states began from.
        """
        some = slice(len(before))
        self.records, self.before = records, before
        self.penalty = [*(one[:, 0] for one in records.bounds)], records.strengths("l1"), records.strengths("l2")
        self.centers = records.centers
        self.count, self.steps, self.elapsed = self._count[some], self._steps[some], self._elapsed[some]
        for sums in (self.count, self.steps, self.elapsed):
            sums[:] = 0
        self.last = self._last[some]
        # the engine begins these where a state touches a record
        self.information, self.stiffness, self.way, self.gain, self.of_information = self._learned[:, some]
        self.weights, self.of_weights = self._of_weights[:, some]
        self.of_state = self._of_state[:, some]
        self.means = self._means if self._means is None else self._means[some]
        if self.means is not None:
            self.means[:] = 0

    def add(self, at, record, missed, steps, elapsed):
        """Add what a state gained.

        Parameters
        ----------
        at : ndarray of int64
            Which records it has.
        record, missed : ndarray of float32, shape (n, stride)
            Its records, and what those of the beginning have become without a gradient; None if they
            have stayed as they were.
        steps, elapsed : int and float
            That it took, and the sum of their rates.
        """
        records, (bounds, l1, l2) = self.records, self.penalty
        marks = add_gains(
            records.rule,
            records.layout,
            records.numbers,
            *bounds,
            self.coupling,
            self.since.step + steps,
            steps,
            at,
            record,
            self.before if missed is None else missed,
            missed is None,
            self.before,
            self.information,
            self.weights,
            self.stiffness,
            l1,
            l2,
            self.centers,
            self.count,
            self.last,
            self.way,
            self.gain,
            self.of_weights,
            self.of_information,
            self.of_state,
            self.moved,
        )
        touched = np.frombuffer(marks, dtype=bool)
        at = at[touched]
        self.steps[at] += steps
        self.elapsed[at] += elapsed
        if self.means is not None:
            moved = record[touched], self.before[at]
            self.means[at] += _means_gained(*moved, records.layout, self.since, steps)

    def result(self, touched):
        """Return the merged records, of those that some state touched."""
        single = self.count[touched] == 1
        out = self.last[touched]
        several = touched[~single]
        if len(several):
            out[~single] = self._merged(several)
        return out

    def _merged(self, at):
        way = self.way[at]
        total = progress_weight(way)
        records, layout = self.records.of(at), self.records.layout
        weights = self.weights[at] + self.of_weights[at] / total
        information = self.information[at] + self.of_information[at] / total
        gain = np.maximum(self.gain[at], 1e-300)
        record = self.before[at].copy()
        shared = [record[:, places] + total[at] / gain for places, total in zip(self.moved, self.of_state)]
        steps = self.since.step + self.steps[at]
        records.write(record, weights, information, steps, shared)
        stamp(record, layout, steps, self.since.elapsed + self.elapsed[at])
        if self.means is not None:
            counted = np.maximum(self.since.step - self.since.average_from, 0)
            total_counted = np.maximum(steps - self.since.average_from, 0)
            span = slice(layout.average, layout.average + layout.n_out)
            sums = self.before[at][:, span].astype(np.float64) * counted + self.means[at]
            record[:, span] = np.divide(sums, total_counted, out=weights.copy(), where=total_counted > 0)
        return record


def _means_gained(record, before, layout, since, steps):
    """Return what the sums behind running means gained in some steps since a state."""
    span = slice(layout.average, layout.average + layout.n_out)
    first, last = (max(step - since.average_from, 0) for step in (since.step, since.step + steps))
    return record[:, span].astype(np.float64) * last - before[:, span].astype(np.float64) * first
