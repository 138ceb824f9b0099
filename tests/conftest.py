"""Fixtures of several test modules."""

import signal

import pytest


@pytest.fixture
def sigint_raises():
    """A SIGINT raises KeyboardInterrupt, also where the shell had Python ignore it (``nohup pytest &``)."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)
