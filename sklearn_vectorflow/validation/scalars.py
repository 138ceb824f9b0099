"""Checks of scalar parameters."""

import numbers

import numpy as np

from sklearn_vectorflow.validation.errors import brief

LARGEST = 1e38  # number that single precision holds, about


def check_number(owner, name, value, low=-np.inf, high=np.inf, *, low_open=False, high_open=False):
    """Raise unless ``value`` is a real number in the interval."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.number)):
        raise TypeError(f"{owner}: {name} must be a number, got {brief(value)}.")
    inside = (low < value if low_open else low <= value) and (value < high if high_open else value <= high)
    if not inside:
        interval = f"{'(' if low_open else '['}{low}, {high}{')' if high_open or high == np.inf else ']'}"
        raise ValueError(f"{owner}: {name} must be in {interval}, got {brief(value)}.")


def check_positive(owner, name, value):
    """Raise unless ``value`` is a positive number in the range of single precision, in which the engine computes."""
    check_number(owner, name, value, 0, LARGEST, low_open=True)


def check_integer(name, value, low):
    """Raise unless ``value`` is an integer of at least ``low``."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be an integer of at least {low}, got {brief(value)}.")
    if value < low:
        raise ValueError(f"{name} must be at least {low}, got {brief(value)}.")


def check_flag(name, value):
    """Raise unless ``value`` is True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {brief(value)}.")


def check_choice(name, value, choices):
    """Raise unless ``value`` is one of the names."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be one of {sorted(choices)}, got {brief(value)}.")
