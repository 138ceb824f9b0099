"""What is compared: one module a package, each with a list MODELS of what it trains."""
