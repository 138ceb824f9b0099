"""Training over parts of the rows, apart and merged in rounds: pure tasks, whoever runs them."""
