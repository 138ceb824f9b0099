"""Rows as lines of text, for packages that read nothing else."""

SOME = 20_000  # rows at a time


def write(path, X, labels, between=" ", fields=None):
    """Write a line a row: its label and index:value pairs, behind the fields of the columns if there are any."""
    names = [f"{index}" if fields is None else f"{fields[index]}:{index}" for index in range(X.shape[1])]
    with open(path, "w") as file:
        for start in range(0, X.shape[0], SOME):
            some = X[start : start + SOME]
            cells = [f"{names[index]}:{value:.6g}" for index, value in zip(some.indices.tolist(), some.data.tolist())]
            ends = some.indptr.tolist()
            file.writelines(
                f"{label}{between}{' '.join(cells[a:b])}\n"
                for label, a, b in zip(labels[start : start + SOME], ends, ends[1:])
            )
