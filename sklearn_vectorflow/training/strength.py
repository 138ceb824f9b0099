"""How strong the penalty is by default: what cross-validation on a sample says, near a first guess.

A first guess comes from the loss and the lengths of rows alone. The best strength depends on more: on how many features
matter, and how the rows share them. Where a sample tells, models of parts of it find out; where it does not, as for
rare events or a handful of rows, the guess stands.
"""

import math

import numpy as np

STEP = 4.0  # between two strengths that are tried
MOST_WEAKER, MOST_STRONGER = 5, 8  # steps from the guess; the strongest leaves little more than a constant model
FEWEST = 36  # rows, or groups, in a sample that tells
N_BLOCKS = 16  # of test rows, over which losses are compared
DOUBT = 1.0  # standard errors by which a weaker strength must be better than the guess


def folds_of(sample, most):
    """Return pairs of training rows and blocks of test rows, or None if a sample has too few rows.

    Parameters
    ----------
    sample : Sample
    most : int
        Rows, or groups, that may be used.
    """
    terms = np.arange(sample.n_terms)
    if sample.weight is not None and sample.starts is None:
        terms = terms[sample.weight > 0]
    order = np.random.default_rng(0).permutation(terms)[:most]
    if len(order) < FEWEST:
        return None
    n_folds, n_used = _numbers_of_folds(len(order))
    fold = np.arange(len(order)) % n_folds
    n_blocks = N_BLOCKS // n_used
    return [
        (sample.part(np.sort(order[fold != k])), [sample.part(block) for block in _cut(order[fold == k], n_blocks)])
        for k in range(n_used)
    ]


def _numbers_of_folds(n_terms):
    """Return into how many folds rows are cut, and how many of them are tested.

    A model of half of the rows wants another strength than one of all.
    """
    if n_terms <= 1024:
        return 8, 8
    return 4, 4 if n_terms <= 4096 else 2


def _cut(terms, n_blocks):
    return [np.sort(terms[first::n_blocks]) for first in range(n_blocks)]


def validated(guess, losses_of):
    """Return the strength that a search near the guess finds.

    The search climbs from the guess in factors of four as long as the loss falls, and out of where
    training diverges.

    Parameters
    ----------
    guess : float
    losses_of : callable
        Returns the losses of blocks of test rows, an ndarray, of models with a strength.
    """
    losses = {0: losses_of(guess)}
    for side, most in ((1, MOST_STRONGER), (-1, MOST_WEAKER)):
        for step in range(side, side * (most + 1), side):
            losses[step] = losses_of(guess * STEP**step)
            before = losses[step - side].mean()
            if math.isfinite(before) and not losses[step].mean() < before:
                break
        if side * step > 1:  # it was better than the guess, so nothing on the other side is
            break
    return guess * STEP ** _best(losses)


def _best(losses):
    """Return the step of the lowest loss; between steps, where three of them show a valley."""
    compared_to = losses[0] if np.all(np.isfinite(losses[0])) else 0.0

    def doubted(step):
        if not np.all(np.isfinite(losses[step])):  # training diverged
            return math.inf
        change = losses[step] - compared_to
        doubt = DOUBT if step < 0 else 0.0
        return change.mean() + doubt * change.std() / math.sqrt(len(change) - 1)

    best = min(losses, key=doubted)
    if best - 1 not in losses or best + 1 not in losses:
        return best
    below, here, above = (losses[step].mean() for step in (best - 1, best, best + 1))
    if not math.isfinite(below + here + above):
        return best
    bend = below - 2 * here + above
    return best + (min(0.5, max(-0.5, 0.5 * (below - above) / bend)) if bend > 0 else 0.0)
