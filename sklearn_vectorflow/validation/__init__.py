"""Checks of arguments: numbers, arrays, names in errors."""
