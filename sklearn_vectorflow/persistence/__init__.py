"""Models in files of arrays and JSON, which run no code when they are loaded."""
