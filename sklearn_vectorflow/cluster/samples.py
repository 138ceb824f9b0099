"""Rows that stand for those of all parts: each task draws some of its own, and the client thins them alike."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sklearn_vectorflow.cluster.parts import Rows, join_rows
from sklearn_vectorflow.io.sampling import sample_step, sampled_rows

SAMPLE = 1 << 14  # rows that are drawn at least: fewer often tell a strength of the penalty that is far off
OF_MERGES = 1 << 12  # of them, that tell whether a merge was too bold
SAMPLED_BYTES = 1 << 26  # that those of a part take at most
LONGEST_PART = 1 << 40  # rows: so far apart are the numbers of two parts' first rows, and parts are drawn apart


@dataclass
class Sample:
    """Rows of a part that were drawn, or whole groups.

    Parameters
    ----------
    rows : Rows
    terms : ndarray of int64
        Numbers of the rows, or of the groups, among those of all parts.
    step : int
        How many each of them stands for.
    """

    rows: Rows
    terms: Any
    step: int

    def thinned(self, step):
        """Return those that a larger step draws."""
        if step == self.step:
            return self
        chosen = sampled_rows(self.terms[0], self.terms[-1] + 1, step) if len(self.terms) else self.terms
        kept = np.isin(self.terms, chosen)
        return Sample(self.rows.take_terms(np.flatnonzero(kept)), self.terms[kept], step)


class Sampler:
    """Draws rows of a part, block after block.

    Parameters
    ----------
    number, n_parts : int
        Which part of how many it is.
    """

    def __init__(self, number, n_parts):
        self.n_rows = self.n_terms = self.n_nonzero = 0
        self.first = number * LONGEST_PART
        self.fewest = max(64, -(-4 * SAMPLE // n_parts))  # more than its share, if it is no longer than four others
        self.step = 1
        self.drawn = []

    def add(self, rows):
        """Draw some of a block's rows, and fewer of the rows before if there were few of those."""
        if not len(rows):
            return
        self.n_rows += len(rows)
        self.n_nonzero += rows.matrix.rows.n_nonzero
        bytes_a_row = 12 * max(1, self.n_nonzero // self.n_rows)
        most = SAMPLED_BYTES // (2 * bytes_a_row)  # a step draws less than twice as many as it is asked for
        self.step = max(self.step, sample_step(self.n_rows, max(8, min(self.fewest, most))))
        start = self.first + self.n_terms
        self.n_terms += rows.n_terms
        terms = sampled_rows(start, start + rows.n_terms, self.step)
        if not len(terms) and not self.drawn:  # of a few long groups, none may have been drawn
            terms = np.array([start])
        self.drawn = [one.thinned(self.step) for one in self.drawn]
        self.drawn.append(Sample(rows.take_terms(terms - start), terms, self.step))

    def sample(self):
        """Return what was drawn of all blocks; None if they have no rows."""
        return _joined(self.drawn) if self.drawn else None


def _joined(samples):
    """Return several samples of one step as one."""
    some = [one for one in samples if len(one.rows)] or samples[:1]
    return Sample(join_rows([one.rows for one in some]), np.concatenate([one.terms for one in some]), some[0].step)


def common_step(surveys, fewest=None):
    """Return how many rows each row stands for of so many that stand for those of all parts, or of `SAMPLE`."""
    steps = [one.sample.step for one in surveys if one.n_rows]
    return max([sample_step(sum(one.n_rows for one in surveys), fewest or SAMPLE), *steps])


def sampled(surveys, fewest=None):
    """Return rows that stand for those of all parts, each for as many: so many at least, or `SAMPLE`."""
    samples, step = [one.sample for one in surveys if one.n_rows], common_step(surveys, fewest)
    thinned = _joined([one.thinned(step) for one in samples])
    return (thinned if len(thinned.rows) else samples[0]).rows
