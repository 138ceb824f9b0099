"""Defaults read off the data: units of weights and losses, strengths, batch sizes."""
