"""The exact optimum over parts: sums over rows are sums of tasks, in the order of the parts."""
