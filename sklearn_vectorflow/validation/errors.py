"""Errors and warnings that name their argument, and the line of the user's code."""

import contextlib
import reprlib
import sys
import warnings

import numpy as np

MOST_LETTERS = 240  # of a value in a message
DAMAGED = "The pickle is damaged"
ENDS = 100  # that are left of a longer one on either side

OWN = ("sklearn_vectorflow", "sklearn")  # packages whose lines a warning is not about

_SHORT = reprlib.Repr()
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxset = _SHORT.maxfrozenset = _SHORT.maxdict = 8
_SHORT.maxstring = _SHORT.maxother = MOST_LETTERS


@contextlib.contextmanager
def naming(name):
    """Prefix errors with the name of their argument."""
    try:
        yield
    except ValueError as error:
        kind = type(error) if type(error).__init__ is ValueError.__init__ else ValueError  # others take more arguments
        raise kind(f"{name}: {error}") from error
    except TypeError as error:
        raise TypeError(f"{name}: {error}") from error


@contextlib.contextmanager
def restoring():
    """Report errors in the parts of a pickle as a damaged pickle."""
    try:
        yield
    except (TypeError, AttributeError, LookupError, ArithmeticError, ValueError) as error:
        if f"{error}".startswith(DAMAGED):
            raise
        raise ValueError(f"{DAMAGED}: {error}") from error


def brief(value):
    """Return the `repr` of a value, shortened for messages."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        with np.printoptions(threshold=8, edgeitems=3):
            text = " ".join(repr(value).split())
    elif isinstance(value, (list, tuple, set, frozenset, dict)):
        text = _SHORT.repr(value)
    else:
        text = repr(value)
    return text if len(text) <= MOST_LETTERS else f"{text[:ENDS]} ... {text[-ENDS:]}"


def warn(message, category=UserWarning):
    """Warn at the line outside this package and scikit-learn that made the call."""
    frame, level = sys._getframe(1), 2
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in OWN:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
