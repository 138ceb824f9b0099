"""What tasks of a full pass compute: pure functions of a part, of parameters and of a direction."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sklearn_vectorflow.cluster.optimum.blocks import PartBlocks, counts_of, data_of, weights_of
from sklearn_vectorflow.cluster.optimum.sums import Sums, added
from sklearn_vectorflow.cluster.parts import part_of
from sklearn_vectorflow.exact.objective import Hessian
from sklearn_vectorflow.exact.stores import arrays_of


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a part's losses are at some parameters.

    Parameters
    ----------
    sums : Sums
        By column, the gradient by each output's weight and then the second derivatives; the rest is the sum of
        losses, and the gradient and the second derivatives by constants.
    curvatures : list or None
        Of every block; None where blocks are read again, and looked at again.
    """

    sums: Any
    curvatures: Any


def counted(template, number, *values):
    """Return how often each column of X occurs in a part; the rest is the number of rows and the sum of weights."""
    n_columns, found = template.network.n_features, []
    for data in data_of(template, number, part_of(values)):
        counts = counts_of(arrays_of(data.matrix), n_columns)
        where = np.flatnonzero(counts)
        rest = np.array([data.matrix.shape[0], weights_of(data).sum()])
        found.append(Sums(where, counts[where, None].astype(float), rest))
    return _together(n_columns, 1, 2, found)


def readied(setting, number, *values):
    """Return the blocks of a part."""
    return PartBlocks.of(setting, number, values)


def evaluated(setting, blocks, parameters):
    """Return the losses of a part and their derivatives.

    Parameters
    ----------
    setting : Setting
    blocks : PartBlocks
    parameters : tuple of ndarray
        Weights, of shape (n, n_linear) for the design of all parts, and constants.
    """
    weights, constants = parameters
    found, curvatures = [], None if blocks.held is None else []
    for block in blocks.each(setting):
        with block.objective(setting) as objective:
            point = objective.at(block.own(weights), constants)
            hessian = objective.hessian(point)
            slope, diagonal = objective.gradient(point), hessian.diagonal()
        lines = np.concatenate([slope[0], diagonal[0]], axis=1)
        found.append(Sums(block.where, lines, np.concatenate([[point.value], slope[1], diagonal[1]])))
        if curvatures is not None:
            curvatures.append(hessian.curvature)
    sums = _together(setting.n, 2 * setting.layout.n_linear, 1 + 2 * setting.n_constant, found)
    return Evaluation(sums, curvatures)


def sums_of(evaluation):
    """Return the sums of an evaluation, without what stays where the part is."""
    return evaluation.sums


def product(setting, blocks, parameters, evaluation, direction):
    """Return what the second derivatives of a part's losses make of a direction; the rest is by constants."""
    weights, constants = direction
    found = []
    for block, hessian in _hessians(setting, blocks, parameters, evaluation):
        by_weights, by_constants = hessian.times(block.own(weights), constants)
        found.append(Sums(block.where, by_weights, by_constants))
    return _together(setting.n, setting.layout.n_linear, setting.n_constant, found)


def second_derivatives(setting, blocks, parameters, evaluation, columns, outputs, with_constants, share):
    """Return the matrix of second derivatives by some weights, and by constants, see `Hessian.block`."""
    width, n_constant = len(columns), setting.n_constant * with_constants
    size = width * len(outputs) + n_constant
    found = np.zeros((size, size))
    for block, hessian in _hessians(setting, blocks, parameters, evaluation):
        there, own = _found(columns, block.where)
        l2 = np.zeros((hessian.design.n, 1))
        part = hessian.block(hessian.design, l2, own, outputs, with_constants, share)
        at = [there + width * k for k in range(len(outputs))]
        at = np.concatenate([*at, np.arange(size - n_constant, size)])
        found[np.ix_(at, at)] += part
    return Sums(None, found, np.empty(0))


def _found(columns, where):
    """Return which of some columns of all parts are among a block's, and their places there."""
    if where is None:
        return np.arange(len(columns)), columns
    place = np.minimum(np.searchsorted(where, columns), len(where) - 1)
    there = np.flatnonzero(where[place] == columns) if len(where) else np.empty(0, int)
    return there, place[there]


def _hessians(setting, blocks, parameters, evaluation):
    """Iterate over blocks and the second derivatives of their losses."""
    for k, block in enumerate(blocks.each(setting)):
        with block.objective(setting) as objective:
            if evaluation.curvatures is None:
                yield block, objective.hessian(objective.at(block.own(parameters[0]), parameters[1]))
            else:
                curvature = evaluation.curvatures[k]
                yield block, Hessian(objective, curvature, setting.layout.n_linear, setting.n_constant)


def _together(n_lines, width, n_rest, sums):
    """Return the sums of a part's blocks as one."""
    if len(sums) == 1:
        return sums[0]
    none = Sums(np.empty(0, int), np.zeros((0, width)), np.zeros(n_rest))
    return added(n_lines, sums) if sums else none
