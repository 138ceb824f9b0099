"""How many rows a step takes by default."""

PASSES = 16  # over a handful of rows, in an epoch
TINY = 64  # rows up to which batch_size="auto" takes all of them in a step


def auto_batch_size(n_rows, more=False):
    """Return rows in a step: one, or all of a handful if no others may follow (`more`).

    A handful of rows is fitted in full batches, so that the result does not depend on
    their order or on whether a weight or a copy says that a row counts twice.
    """
    return n_rows if n_rows <= TINY and not more else 1


def passes_in_epoch(n_rows):
    """Return how many times an epoch goes over the rows: a handful in full batches would take too few steps."""
    return PASSES if n_rows <= TINY else 1
