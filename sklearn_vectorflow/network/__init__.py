"""A net: its graph of layers, its weights, and its form for the engine."""
