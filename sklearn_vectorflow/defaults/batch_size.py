"""How many rows a step takes by default."""

TINY = 64  # rows up to which batch_size="auto" takes all of them in a step


def auto_batch_size(n_rows, more=False):
    """Return rows in a step: one, or all of a handful if no others may follow (`more`).

    A handful of rows is fitted in full batches, so that the result does not depend on
    their order or on whether a weight or a copy says that a row counts twice.
    """
    return n_rows if n_rows <= TINY and not more else 1
