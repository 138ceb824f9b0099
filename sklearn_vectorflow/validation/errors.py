"""Errors that say which argument they are about."""

import contextlib


@contextlib.contextmanager
def naming(name):
    """Says which argument an error is about, where its message can't know."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    except TypeError as error:
        raise TypeError(f"{name}: {error}") from error
