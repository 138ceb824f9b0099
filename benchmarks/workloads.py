"""Synthetic workloads: sparse rows with a few hot features and a long tail, as words and ads have.

Everything follows from fixed seeds. Labels are drawn from a logistic model of the rows, classes from a softmax model.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse

EXPONENT = 1.1  # of the Zipf law of feature ids
SEEDS = {"train": 1, "test": 2}
SEED_OF_WEIGHTS = 7
PARTS = ("data", "indices", "indptr", "y")


@dataclass(frozen=True)
class Workload:
    """Sizes of a workload and how its labels depend on the rows.

    Parameters
    ----------
    n_rows, n_features : int
        There are a tenth as many test rows.
    draws : int
        Features drawn for a row, on average; some fall together.
    text : bool
        Whether rows are texts, of varying length and unit norm, or ads, all ones.
    slope, offset : float
        Log odds of a label for a standardised score of the row.
    """

    n_rows: int
    n_features: int
    draws: int
    text: bool
    slope: float
    offset: float = 0.0


WORKLOADS = {
    "text": Workload(400_000, 47_236, 75, text=True, slope=2.5),
    "ctr": Workload(1_000_000, 10_000_000, 39, text=False, slope=1.5, offset=-1.4),
}
QUICK = {
    "text": Workload(40_000, 47_236, 75, text=True, slope=2.5),
    "ctr": Workload(100_000, 1_000_000, 39, text=False, slope=1.5, offset=-1.4),
}
SURVIVAL = Workload(1_000_000, 1_000_000, 30, text=False, slope=0.8)
QUICK_SURVIVAL = Workload(100_000, 100_000, 30, text=False, slope=0.8)


def zipf(rng, n, n_features):
    """Draw ids of a Zipf law cut off at the number of features, hot ids far apart."""
    power = 1.0 - EXPONENT
    rank = (1.0 - rng.random(n) * (1.0 - n_features**power)) ** (1.0 / power)
    rank = np.clip(rank.astype(np.int64), 1, n_features) - 1
    return ((rank * 2_654_435_761 + 12_345) % n_features).astype(np.int32)


def draw_rows(workload, n_rows, rng):
    """Draw rows as a float32 CSR matrix."""
    if workload.text:
        lengths = np.maximum(rng.poisson(workload.draws, n_rows), 3)
    else:
        lengths = np.full(n_rows, workload.draws)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    indices = zipf(rng, indptr[-1], workload.n_features)
    if workload.text:
        values = rng.gamma(2.0, 1.0, len(indices)).astype(np.float32)
    else:
        values = np.ones(len(indices), dtype=np.float32)
    X = sparse.csr_matrix((values, indices, indptr), shape=(n_rows, workload.n_features))
    X.sum_duplicates()
    if workload.text:
        norms = np.sqrt(np.add.reduceat(X.data**2, X.indptr[:-1]))
        X.data /= np.repeat(norms, np.diff(X.indptr))
    return X


def draw_labels(workload, X, rng):
    """Draw labels of rows."""
    weights = np.random.default_rng(SEED_OF_WEIGHTS).standard_normal(workload.n_features).astype(np.float32)
    score = X @ weights
    log_odds = workload.slope * (score - score.mean()) / score.std() + workload.offset
    return (rng.random(X.shape[0]) < 1.0 / (1.0 + np.exp(-log_odds))).astype(np.float32)


def draw_classes(workload, X, n_classes, split):
    """Draw one of many classes for each row of a split."""
    rng = np.random.default_rng(SEED_OF_WEIGHTS)
    score = X @ rng.standard_normal((workload.n_features, n_classes), dtype=np.float32)
    score = workload.slope * (score - score.mean(axis=0)) / score.std(axis=0)
    noise = np.random.default_rng(SEEDS[split]).gumbel(size=score.shape)
    return (score + noise).argmax(axis=1).astype(np.float32)


def draw(workload, split):
    """Draw rows and labels of a split, "train" or "test"."""
    rng = np.random.default_rng(SEEDS[split])
    X = draw_rows(workload, workload.n_rows if split == "train" else workload.n_rows // 10, rng)
    return X, draw_labels(workload, X, rng)


def draw_times(workload, split, factor=1):
    """Draw rows and (event, time) of a split: exponential times, 40 % of them censored."""
    weights = np.random.default_rng(SEED_OF_WEIGHTS).standard_normal(workload.n_features).astype(np.float32)
    rng = np.random.default_rng(SEEDS[split])
    X = draw_rows(workload, factor * workload.n_rows if split == "train" else workload.n_rows // 10, rng)
    score = X @ weights
    score = (score - score.mean()) / score.std()
    time, censored = rng.exponential(np.exp(-workload.slope * score)), rng.exponential(1.6, X.shape[0])
    return X, (time <= censored, np.minimum(time, censored).clip(1e-6))


def load(folder, name, split, quick=False):
    """Return X and y of a split, from files in a folder that are written if they are not there."""
    workload = (QUICK if quick else WORKLOADS)[name]
    return _kept(folder, f"{name}{'-quick' * quick}-{split}", workload, lambda: draw(workload, split))


def load_classes(folder, name, split, n_classes, quick=False):
    """Return X, from files as `load` keeps them, and one of many classes for each row."""
    X, _ = load(folder, name, split, quick)
    return X, draw_classes((QUICK if quick else WORKLOADS)[name], X, n_classes, split)


def load_times(folder, split, quick=False):
    """Return X and (event, time) of a split of "surv1m", kept as `load` keeps others."""
    workload = QUICK_SURVIVAL if quick else SURVIVAL
    X, y = _kept(folder, f"surv1m{'-quick' * quick}-{split}", workload, lambda: draw_times(workload, split))
    return X, (y[:, 0] > 0, y[:, 1].copy())


def _kept(folder, stem, workload, make):
    """Load X and y from files that are made first if they are not there; a y of parts has a column for each."""
    paths = {part: Path(folder, f"{stem}-{part}.npy") for part in PARTS}
    if not all(path.exists() for path in paths.values()):
        Path(folder).mkdir(parents=True, exist_ok=True)
        X, y = make()
        y = np.column_stack(y) if isinstance(y, tuple) else y
        for part, array in zip(PARTS, (X.data, X.indices.astype(np.int32), X.indptr.astype(np.int32), y)):
            np.save(paths[part], array)
    data, indices, indptr, y = (np.load(paths[part]) for part in PARTS)
    return sparse.csr_matrix((data, indices, indptr), shape=(len(y), workload.n_features)), y
