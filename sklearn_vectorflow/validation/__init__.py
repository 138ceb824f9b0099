"""Checks of what users give, for every room: numbers, arrays, names in errors."""
