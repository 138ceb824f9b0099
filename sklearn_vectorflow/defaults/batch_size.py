"""The default size of a mini-batch."""

PASSES = 16  # passes over few rows in an epoch
TINY = 64  # rows up to which batch_size="auto" means full batches


def auto_batch_size(n_rows, more=False):
    """Return the size of a mini-batch: 1, or all rows if there are few and no others may follow (`more`).

    With full batches, the result does not depend on the order of the rows, and a weight of 2 equals a copy of a row.
    """
    return n_rows if n_rows <= TINY and not more else 1


def passes_in_epoch(n_rows):
    """Return the number of passes in an epoch: several for full batches of few rows, which have one step each."""
    return PASSES if n_rows <= TINY else 1
