"""The problem whose solution is the optimum of a linear net on rows that are spread."""

from dataclasses import replace

import numpy as np

from sklearn_vectorflow.cluster.optimum import tasks
from sklearn_vectorflow.cluster.optimum.blocks import Block, Setting
from sklearn_vectorflow.cluster.optimum.objective import Passes, SpreadLosses, SpreadObjective, SpreadRows
from sklearn_vectorflow.cluster.optimum.sums import total
from sklearn_vectorflow.cluster.parts import values_of
from sklearn_vectorflow.exact.curvature import structure_of
from sklearn_vectorflow.exact.design import Design
from sklearn_vectorflow.exact.optimum import Layout, Problem
from sklearn_vectorflow.exact.terms import Terms
from sklearn_vectorflow.losses import MultinomialLoss


def problem_of(network, fields, template, sample, parts, executor):
    """Return the problem of a net.

    Parameters
    ----------
    network : Network
    fields : dict
        Of the penalties, as `penalties.combine` gives them.
    template : Template
    sample : Data
        Rows that tell how the loss couples outputs.
    parts : list
        As `fit.PartsFit` takes them.
    executor : object
        Runs tasks, see `fit.Here`.

    Returns
    -------
    problem : Problem
    """
    loss, n_features = template.estimator._loss, network.n_features
    layout, bare = Layout.of(network, loss), executor.constant(template)
    looks = [executor.submit(tasks.counted, bare, k, *values_of(part)) for k, part in enumerate(parts)]
    found = total(executor, n_features, looks)
    counts = found.lines[:, 0].astype(np.int64)
    columns = np.flatnonzero(counts).astype(np.int32)
    columns = None if len(columns) == n_features else columns
    rows = SpreadRows(int(found.rest[0]), counts if columns is None else counts[columns])
    read = [1]
    design = Design(rows, layout.intercept, columns, passes=read)
    setting = Setting(template, layout, columns)
    setting = replace(setting, structure=_structure(setting, design, network, sample))
    passes = Passes(executor, setting, parts, read)
    losses = SpreadLosses(float(found.rest[1]), isinstance(loss, MultinomialLoss))
    terms = Terms(fields, design, layout.n_linear)
    return Problem(network, fields, layout, SpreadObjective(passes, design, losses, terms, setting.structure))


def _structure(setting, design, network, sample):
    """Return how the loss couples the outputs of a net, see `structure_of`."""
    intercepts = np.concatenate(network.intercepts()).astype(np.float64)
    own, constants = np.split(intercepts, [setting.layout.n_linear])
    weights = design.gathered(network.weights()[0], own).astype(np.float64)
    block = Block(setting, sample)
    with block.objective(setting) as objective:
        return structure_of(objective.losses, objective.raw(block.own(weights), constants))
