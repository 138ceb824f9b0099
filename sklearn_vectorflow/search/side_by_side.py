"""How the fits of a round are trained beside each other."""

import contextlib
from dataclasses import replace

from joblib import Parallel, delayed

from sklearn_vectorflow.io.shared import Readers, Shared
from sklearn_vectorflow.io.source import as_source, is_source
from sklearn_vectorflow.search.fits import go_on


@contextlib.contextmanager
def trained_by(n_jobs, splits):
    """Yield a function that trains the fits of a round, and the splits that it should be given.

    Where the rows to train on are a source, all fits read it in step, and so the source of rows to score on.

    Parameters
    ----------
    n_jobs : int or None
    splits : list of (Rows, Rows)

    Raises
    ------
    ValueError
        If a source can be read once.
    """
    if not is_source(splits[0][0].X):
        with Parallel(n_jobs=n_jobs) as parallel:
            yield lambda calls: parallel(delayed(go_on)(*call) for call in calls), splits
        return
    readers = Readers(n_jobs)
    with contextlib.ExitStack() as stack:
        shared = [_shared(rows, name, readers, stack) for rows, name in zip(splits[0], ("X", "X_val"))]
        yield lambda calls: readers.map(lambda call: go_on(*call), list(calls)), [tuple(shared)]


def _shared(rows, name, readers, stack):
    if not is_source(rows.X):
        return rows
    if as_source(rows.X).once:
        raise ValueError(
            f"{name} can be read once, but every epoch of a search reads it. Pass a source that can be read again, "
            "such as sklearn_vectorflow.io.BatchSource(function)."
        )
    source = readers.shared(rows.X)
    if isinstance(source, Shared):
        stack.callback(source.finish)
    return replace(rows, X=source)
