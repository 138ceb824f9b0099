"""Sums over rows: each task has those of a part, and the parts are added up in their order, whoever runs what."""

from dataclasses import dataclass
from typing import Any

import numpy as np

FAN = 8  # sums that a task adds up


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums over some rows.

    Parameters
    ----------
    where : ndarray of int or None
        Which lines of all there are these rows have something to say of, increasing; None is all.
    lines : ndarray of shape (n_lines, width)
        Sums by column of the design, say.
    rest : ndarray of shape (n_rest,)
        Sums that are not by lines.
    """

    where: Any
    lines: Any
    rest: Any


def added(n_lines, sums):
    """Return several sums as one that has all lines; the first goes first."""
    lines, rest = np.zeros((n_lines, sums[0].lines.shape[1])), np.zeros(len(sums[0].rest))
    for one in sums:
        if one.where is None:
            lines += one.lines
        else:
            lines[one.where] += one.lines
        rest += one.rest
    return Sums(None, lines, rest)


def total(executor, n_lines, sums):
    """Return the total of sums in the order in which they stand, here.

    Parameters
    ----------
    executor : object
        Runs tasks, see `fit.Here`.
    n_lines : int
    sums : list
        Each stands for a Sums.
    """
    while True:
        sums = [executor.submit(added, n_lines, sums[k : k + FAN]) for k in range(0, len(sums), FAN)]
        if len(sums) == 1:
            return executor.result(sums[0])
