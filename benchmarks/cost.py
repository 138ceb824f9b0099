"""Cost of a non-zero: training time against the numbers of non-zeros, of columns and of threads.

    python benchmarks/cost.py [--nonzeros 100000 ... 100000000] [--features 100000 1000000 10000000] [--threads 1 2]
                              [--clock wall|processor] [--repeat 5] [--picture cost.png]

Rows are of the ctr kind, about 35 ones each. Nanoseconds a non-zero are of the whole `fit` of one epoch, of the first
epoch alone, whose weights are new to memory, and of later epochs; and of what memory allows (roofline/, loops b and c,
the faster one), since more rows and columns mean more weights and fewer of them in caches. Milliseconds are of the rest
of the fit: what rows cost once, and what a fit costs whatever the rows, such as memory for all columns. Threads are one
and as many as there are cores, unless others are asked for; the panels against non-zeros and columns show the fewest.
Times are medians. On a machine that other programs use, too, `--clock processor` takes the least of the processor's
times, of all threads together: waiting does not count. 10^8 non-zeros need 3 GB of memory and a minute to be drawn.
"""

import argparse
import statistics
import time
from dataclasses import dataclass, replace

import machine
import numpy as np
import workloads
from roofline.loops import AHEAD, Roof
from scipy import sparse
from stopwatch import Stopwatch
from threadpoolctl import threadpool_limits

from sklearn_vectorflow import VectorFlowClassifier

BLOCK = 100_000  # rows drawn at once
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
TYPICAL = {time.perf_counter: statistics.median, time.process_time: min}  # other programs only ever add to the latter
MOST_EPOCHS = 30


@dataclass
class Cost:
    """Nanoseconds a non-zero."""

    n_features: int
    n_nonzero: int
    n_threads: int
    fit: float
    first: float
    epoch: float
    roof: float

    @property
    def rest(self):
        """Milliseconds of a fit beside its epoch."""
        return 1e-6 * self.n_nonzero * (self.fit - self.first)


def draw(n_features, n_nonzero):
    """Draw rows with at least so many non-zeros, and labels."""
    ads = replace(workloads.WORKLOADS["ctr"], n_features=n_features)
    rng, blocks, found = np.random.default_rng(workloads.SEEDS["train"]), [], 0
    while found < n_nonzero:
        blocks.append(workloads.draw_rows(ads, BLOCK, rng))
        found += blocks[-1].nnz
    X = sparse.vstack(blocks, format="csr")
    return X, workloads.draw_labels(ads, X, rng)


def head(X, y, n_nonzero):
    """Return the first rows that have so many non-zeros, as views."""
    n_rows = int(np.searchsorted(X.indptr, n_nonzero))
    end = X.indptr[n_rows]
    return sparse.csr_matrix((X.data[:end], X.indices[:end], X.indptr[: n_rows + 1]), (n_rows, X.shape[1])), y[:n_rows]


def timed_fit(X, y, n_jobs, epochs, clock):
    """Return a clock's seconds of a whole fit and of each epoch alone."""
    model = VectorFlowClassifier(max_iter=epochs, tol=None, random_state=0, n_jobs=n_jobs)
    with Stopwatch(clock) as watch:
        begun = clock()
        model.fit(X, y)
        return clock() - begun, watch.seconds


def roof_of(X, n_jobs, repeat, clock):
    """Return a clock's seconds of the fastest loop that updates a weight for every non-zero."""
    roof = Roof(X)
    return min(
        TYPICAL[clock](roof.seconds(loop, ahead, n_jobs, clock) for _ in range(repeat))
        for loop in ("update_arrays", "update_records")
        for ahead in AHEAD
    )


def measure(X, y, n_jobs, repeat, clock):
    """Return the cost of a non-zero of some rows."""
    short = [timed_fit(X, y, n_jobs, 1, clock) for _ in range(repeat + 1)][1:]  # the first one brings rows into memory
    _, epochs = timed_fit(X, y, n_jobs, int(np.clip(20_000_000 // X.nnz, 1 + repeat, MOST_EPOCHS)), clock)
    typical = TYPICAL[clock]
    seconds = (
        typical(fit for fit, _ in short),
        typical(first for _, (first,) in short),
        typical(epochs[1:]),
        roof_of(X, n_jobs, repeat, clock),
    )
    return Cost(X.shape[1], X.nnz, n_jobs, *(1e9 * taken / X.nnz for taken in seconds))


def print_cost(cost):
    """Print a line."""
    print(
        f"{cost.n_features:>12,} {cost.n_nonzero:>12,} {cost.n_threads:>8} {cost.fit:>10.2f} {cost.first:>12.2f} "
        f"{cost.epoch:>12.2f} {cost.roof:>8.2f} {cost.rest:>8.1f}",
        flush=True,
    )


def print_spread(costs):
    """Print how far the cost of later epochs varies with the number of non-zeros, for each width."""
    for n_features, n_threads in sorted({(cost.n_features, cost.n_threads) for cost in costs}):
        of = [cost.epoch for cost in costs if (cost.n_features, cost.n_threads) == (n_features, n_threads)]
        spread = max(of) / min(of)
        print(f"{n_features:>12,} columns, threads: {n_threads}: the dearest epoch {spread:.2f} times the cheapest")


def near(number, cost):
    """Whether a cost is of about so many non-zeros."""
    return abs(cost.n_nonzero - number) < 0.01 * number


def draw_nonzeros(axes, costs):
    """Draw nanoseconds against non-zeros, a colour for each width."""
    for number, n_features in enumerate(sorted({cost.n_features for cost in costs})):
        of = [cost for cost in costs if cost.n_features == n_features]
        sizes = [cost.n_nonzero for cost in of]
        look = {"color": f"C{number}", "ms": 4}
        axes.plot(sizes, [cost.epoch for cost in of], "o-", label=f"{n_features:,} columns", **look)
        axes.plot(sizes, [cost.fit for cost in of], "o--", lw=1, mfc="white", **look)
        axes.plot(sizes, [cost.roof for cost in of], ":", **look)
    for style, title in (("k-", "epoch"), ("k--", "whole fit of one epoch"), ("k:", "what memory allows")):
        axes.plot([], [], style, lw=1, label=title)
    axes.set(xscale="log", yscale="log", xlabel="non-zeros")


def draw_columns(axes, costs):
    """Draw nanoseconds against columns, a shade for each number of non-zeros."""
    decades = sorted({10 ** round(np.log10(cost.n_nonzero)) for cost in costs})
    for number, decade in enumerate(decades):
        of = [cost for cost in costs if near(decade, cost)]
        shade = str(0.7 * (1 - number / len(decades)))
        label = f"epoch, {decade:,} non-zeros"
        axes.plot([cost.n_features for cost in of], [cost.epoch for cost in of], "s-", ms=4, color=shade, label=label)
    axes.set(xscale="log", xlabel="columns", ylim=(0, None))


def draw_threads(axes, costs):
    """Draw nanoseconds of the most non-zeros against threads, a colour for each width."""
    most = max(cost.n_nonzero for cost in costs)
    for number, n_features in enumerate(sorted({cost.n_features for cost in costs})):
        of = [cost for cost in costs if cost.n_features == n_features and near(most, cost)]
        threads = [cost.n_threads for cost in of]
        label = f"epoch, {n_features:,} columns"
        axes.plot(threads, [cost.epoch for cost in of], "o-", ms=4, color=f"C{number}", label=label)
    axes.set(xlabel="threads", xticks=sorted({cost.n_threads for cost in costs}), ylim=(0, None))


def draw_picture(path, costs, clock):
    """Draw nanoseconds against non-zeros and columns, of the fewest threads, and against threads."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    fewest = min(cost.n_threads for cost in costs)
    figure = Figure(figsize=(6.4, 9.6), layout="constrained")
    panels = figure.subplots(3, 1)
    draw_nonzeros(panels[0], [cost for cost in costs if cost.n_threads == fewest])
    draw_columns(panels[1], [cost for cost in costs if cost.n_threads == fewest])
    draw_threads(panels[2], costs)
    for axes in panels:
        axes.set_ylabel(f"nanoseconds ({clock}) a non-zero")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.grid(alpha=0.3, which="both")
        axes.legend(fontsize="small")
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    half_decades = [int(10 ** (k / 2)) for k in range(10, 17)]
    parser.add_argument("--nonzeros", nargs="+", type=int, default=half_decades)
    parser.add_argument("--features", nargs="+", type=int, default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument("--threads", nargs="+", type=int, default=machine.one_and_all())
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--picture", default="cost.png")
    options = parser.parse_args()
    clock = CLOCKS[options.clock]
    print(f"{machine.describe()}; {options.clock} time, nanoseconds a non-zero")
    epochs = f"{'whole fit':>10} {'first epoch':>12} {'later epoch':>12}"
    print(f"{'columns':>12} {'non-zeros':>12} {'threads':>8} {epochs} {'roof':>8} {'rest ms':>8}")
    costs = []
    for n_features in options.features:
        X, y = draw(n_features, max(options.nonzeros))
        for n_nonzero in sorted(options.nonzeros):
            rows = head(X, y, n_nonzero)
            for n_threads in options.threads:
                with threadpool_limits(n_threads):
                    costs.append(measure(*rows, n_threads, options.repeat, clock))
                print_cost(costs[-1])
    print_spread(costs)
    draw_picture(options.picture, costs, options.clock)


if __name__ == "__main__":
    main()
