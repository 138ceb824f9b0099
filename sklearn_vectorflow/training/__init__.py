"""Passes over the training rows, in memory or from a source, and when they end."""
