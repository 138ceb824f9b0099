"""Rows as lines of text, for packages that read nothing else."""

SOME = 20_000  # rows at a time


def write(path, X, labels, between=" "):
    """Write a line a row: its label and index:value pairs."""
    with open(path, "w") as file:
        for start in range(0, X.shape[0], SOME):
            some = X[start : start + SOME]
            cells = [f"{index}:{value:.6g}" for index, value in zip(some.indices.tolist(), some.data.tolist())]
            ends = some.indptr.tolist()
            file.writelines(
                f"{label}{between}{' '.join(cells[a:b])}\n"
                for label, a, b in zip(labels[start : start + SOME], ends, ends[1:])
            )
