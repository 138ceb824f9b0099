"""Compiled modules: to type checkers, everything in them is Any."""

from typing import Any

def __getattr__(name: str) -> Any: ...
