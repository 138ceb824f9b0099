"""Seconds to the optimum of linear models, side by side with solvers that converge, in one run.

    python benchmarks/exact.py [CASE ...] [--threads 2] [--data FOLDER] [--seconds 600] [--quick]
    python benchmarks/exact.py --plot doc/_static/exact.png [--clock cores]
    python benchmarks/exact.py --read FILE ... --plot doc/_static/exact.png

Every solver fits the same objective with tighter and tighter tolerances, each time from the start, until
its value is within a millionth of the optimum. What is printed is the time of each fit, that of all cores and
the relative gap. On a machine that others use, too, compare the time of cores. Each solver has a process of its
own, which ends after so many seconds. The cases "news20", "rcv1_l1" and "cox" need the folder of real sets that
VECTORFLOW_DATA names; peers that are not installed are left out.
"""

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import workloads
from scipy import sparse
from scipy.special import logsumexp

GAP = 1e-6
LEAST = 1e-9  # that a picture shows
CLOCKS = {"wall": 1, "cores": 2}  # where their seconds are in a point
VW_CONSTANT = 11650396  # the number of Vowpal Wabbit's intercept, modulo that of all weights
COMPILES = {"skglm": 1e-4}  # at a tolerance that is not met from the start
RESERVE = 1e-9  # of the optimum, to which the reference is solved


class Logistic:
    """Log loss or multinomial loss with L2 or L1, an intercept unpenalised if there is one."""

    def __init__(self, X, y, alpha, l1=False, intercept=True):
        self.X, self.y, self.alpha, self.l1, self.intercept = X, np.asarray(y).astype(int), alpha, l1, intercept
        self.C = 1.0 / (len(self.y) * alpha)

    def value(self, coef, intercept):
        """The objective in double precision."""
        coef, intercept = np.atleast_2d(coef).astype(np.float64), np.ravel(intercept).astype(np.float64)
        raw = self.X @ coef.T + (intercept if self.intercept else 0.0)
        if raw.shape[1] == 1:
            losses = np.logaddexp(0.0, raw[:, 0]) - self.y * raw[:, 0]
        else:
            losses = logsumexp(raw, axis=1) - raw[np.arange(len(raw)), self.y]
        penalty = np.abs(coef).sum() if self.l1 else 0.5 * np.sum(coef**2)
        return losses.mean() + self.alpha * penalty

    def ours(self, tol, threads):
        from sklearn_vectorflow import VectorFlowClassifier

        model = VectorFlowClassifier(
            solver="exact",
            alpha=self.alpha,
            l1_ratio=float(self.l1),
            fit_intercept=self.intercept,
            exact_tol=tol,
            n_jobs=threads,
            random_state=0,
        ).fit(self.X, self.y)
        return model.coef_, model.intercept_

    def _sklearn(self, solver, tol):
        from sklearn.linear_model import LogisticRegression

        params = {"l1_ratio": 1.0} if self.l1 else {}
        model = LogisticRegression(
            C=self.C, solver=solver, tol=tol, max_iter=100_000, fit_intercept=self.intercept, **params
        ).fit(self.X, self.y)
        return model.coef_, model.intercept_

    def lbfgs(self, tol, threads):
        return self._sklearn("lbfgs", tol)

    def newton_cg(self, tol, threads):
        return self._sklearn("newton-cg", tol)

    def liblinear(self, tol, threads):
        return self._sklearn("liblinear", tol)

    def saga(self, tol, threads):
        return self._sklearn("saga", tol)

    def skglm(self, tol, threads):
        from skglm import SparseLogisticRegression

        model = SparseLogisticRegression(alpha=self.alpha, tol=tol, fit_intercept=self.intercept, max_epochs=100_000)
        model.fit(sparse.csc_matrix(self.X, dtype=np.float64), 2 * self.y - 1)
        return model.coef_, model.intercept_

    def snapml(self, tol, threads):
        from snapml import LogisticRegression

        model = LogisticRegression(
            regularizer=1.0 / self.C, tol=tol, max_iter=10_000, n_jobs=threads, fit_intercept=self.intercept
        ).fit(self.X, self.y)
        return model.coef_, model.intercept_

    def glum(self, tol, threads):
        from glum import GeneralizedLinearRegressor

        model = GeneralizedLinearRegressor(
            family="binomial", alpha=self.alpha, gradient_tol=tol, fit_intercept=self.intercept, max_iter=10_000
        ).fit(sparse.csc_matrix(self.X, dtype=np.float64), self.y)
        return model.coef_, model.intercept_

    def vw(self, tol, threads):
        """L-BFGS of Vowpal Wabbit; the first fit, which is not timed, writes its file and its cache."""
        from vowpalwabbit import Workspace

        if not hasattr(self, "_folder"):
            self._folder = tempfile.TemporaryDirectory()
            write_vw(Path(self._folder.name, "rows.vw"), self.X, self.y)
        width = self.X.shape[1]
        bits = next(bits for bits in range(18, 32) if VW_CONSTANT % (1 << bits) >= width and 1 << bits > width)
        rows, cache = (Path(self._folder.name, f"rows.{kind}") for kind in ("vw", "cache"))
        intercept = "--no_bias_regularization" if self.intercept else "--noconstant"
        penalty, steps = f"--l2 {1.0 / self.C} {intercept}", f"--termination {tol} --passes 10000 --mem 15"
        files = f"-b {bits} -d {rows} --cache_file {cache}"
        model = Workspace(f"--bfgs --holdout_off --quiet --loss_function logistic {penalty} {steps} {files}")

        def weights():
            coef = np.array([model.get_weight(column) for column in range(width)])
            return coef, model.get_weight(VW_CONSTANT % (1 << bits)) if self.intercept else 0.0

        return weights


def write_vw(path, X, y):
    """Write rows and classes in Vowpal Wabbit's format."""
    with open(path, "w") as file:
        for row, label in enumerate(y):
            span = slice(X.indptr[row], X.indptr[row + 1])
            entries = " ".join(f"{column}:{value:.9g}" for column, value in zip(X.indices[span], X.data[span]))
            file.write(f"{2 * label - 1} | {entries}\n")


class Exponential:
    """Exponential times to an event: a Poisson regression of events on log times as offsets."""

    def __init__(self, X, y, alpha):
        self.X, (self.event, self.time), self.alpha = X, y, alpha

    def value(self, coef, intercept):
        """The objective in double precision."""
        raw = self.X @ np.ravel(coef).astype(np.float64) + float(np.ravel(intercept)[0])
        losses = np.exp(raw) * self.time - self.event * raw
        return losses.mean() + 0.5 * self.alpha * np.sum(np.ravel(coef).astype(np.float64) ** 2)

    def ours(self, tol, threads):
        from sklearn_vectorflow import VectorFlowSurvivalEstimator

        model = VectorFlowSurvivalEstimator(
            solver="exact", alpha=self.alpha, exact_tol=tol, n_jobs=threads, random_state=0
        ).fit(self.X, {"event": self.event, "time": self.time})
        return model.coef_, model.intercept_

    def poisson(self, tol, threads):
        from sklearn.linear_model import PoissonRegressor

        total = self.time.sum()  # rates weighted by times; the mean is over times, too
        model = PoissonRegressor(alpha=self.alpha * len(self.time) / total, tol=tol, max_iter=100_000)
        model.fit(self.X, self.event / self.time, self.time)
        return model.coef_, model.intercept_

    def glum(self, tol, threads):
        from glum import GeneralizedLinearRegressor

        model = GeneralizedLinearRegressor(
            family="poisson", alpha=self.alpha * len(self.time) / self.time.sum(), gradient_tol=tol, max_iter=10_000
        ).fit(sparse.csc_matrix(self.X, dtype=np.float64), self.event / self.time, sample_weight=self.time)
        return model.coef_, model.intercept_


class Cox:
    """Cox's partial likelihood over all rows, ties after Breslow, with L1."""

    def __init__(self, X, y, alpha):
        self.X, (self.event, self.time), self.alpha = X, y, alpha

    def value(self, coef, intercept):
        """The objective in double precision."""
        raw = self.X @ np.ravel(coef).astype(np.float64)
        order = np.argsort(-self.time, kind="stable")
        risk = np.logaddexp.accumulate(raw[order])
        last = np.searchsorted(-self.time[order], -self.time[order], side="right") - 1
        total = np.sum((risk[last] - raw[order])[self.event[order]])
        return total / len(raw) + self.alpha * np.abs(np.ravel(coef).astype(np.float64)).sum()

    def ours(self, tol, threads):
        from sklearn_vectorflow import VectorFlowSurvivalEstimator
        from sklearn_vectorflow.losses import CoxPH

        model = VectorFlowSurvivalEstimator(
            CoxPH("breslow"),
            solver="exact",
            alpha=self.alpha,
            l1_ratio=1.0,
            exact_tol=tol,
            n_jobs=threads,
            random_state=0,
        ).fit(self.X, {"event": self.event, "time": self.time})
        return model.coef_, 0.0

    def skglm(self, tol, threads):
        from skglm.datafits import Cox as Datafit
        from skglm.penalties import L1
        from skglm.solvers import ProxNewton

        X = sparse.csc_matrix(self.X, dtype=np.float64)
        y = np.asfortranarray(np.column_stack([self.time, self.event]), dtype=np.float64)
        datafit = Datafit()
        datafit.initialize_sparse(X.data, X.indptr, X.indices, y)
        solver = ProxNewton(fit_intercept=False, max_iter=500, tol=tol)
        return solver.solve(X, y, datafit, L1(self.alpha))[0], 0.0


def real(name):
    """Return X and y of a real set."""
    with np.load(Path(os.environ["VECTORFLOW_DATA"], f"{name}.npz")) as archive:
        parts = [archive[f"X.{part}"] for part in ("data", "indices", "indptr")]
        shape = tuple(archive["X.shape"].tolist())
        arrays = {key: archive[key] for key in archive.files if "." not in key}
    return sparse.csr_matrix((parts[0], parts[1], parts[2].astype(np.int32)), shape=shape), arrays


def made(name, alpha, **options):
    def case(folder, quick):
        X, y = workloads.load(folder, name, "train", quick)
        return Logistic(X, y > 0, alpha, **options)

    return case


def surv1m(folder, quick):
    return Exponential(*workloads.load_times(folder, "train", quick), 1e-5)


def news20(folder, quick):
    X, arrays = real("news20")
    lengths = np.sqrt(np.asarray(X.multiply(X).sum(axis=1)).ravel())
    y = np.unique(arrays["y"], return_inverse=True)[1]
    return Logistic(sparse.csr_matrix(sparse.diags_array(1.0 / np.maximum(lengths, 1e-30)) @ X), y, 1e-5)


def rcv1_l1(folder, quick):
    X, arrays = real("rcv1_small")
    return Logistic(X, arrays["y"] > 0, 1e-4, l1=True, intercept=False)


def cox(folder, quick):
    X, arrays = real("surv_numpy_history")
    columns = np.unique(X.indices)
    time = np.maximum(arrays["time"].astype(float), 1e-6)
    return Cox(X[:, columns], (arrays["event"].astype(bool), time), 1e-3)


TIGHTER = [10.0**-power for power in range(1, 13)]
SMOOTH = ("ours", "lbfgs", "newton_cg", "liblinear", "saga", "snapml", "glum", "vw")
COLOURS = ["ours", "lbfgs", "newton_cg", "liblinear", "saga", "snapml", "glum", "skglm", "poisson", "vw"]
CASES = {
    "text": (made("text", 1e-6), SMOOTH),
    "ctr": (made("ctr", 1e-5), SMOOTH),
    "surv1m": (surv1m, ("ours", "poisson", "glum")),
    "news20": (news20, ("ours", "lbfgs", "newton_cg", "saga")),
    "text_l1": (made("text", 1e-5, l1=True, intercept=False), ("ours", "liblinear", "saga", "skglm")),
    "rcv1_l1": (rcv1_l1, ("ours", "liblinear", "saga", "skglm")),
    "cox": (cox, ("ours", "skglm")),
}


def run(case, solver, folder, quick, threads, reference, pipe):
    """Fit with tighter and tighter tolerances; send seconds and gaps."""
    warnings.simplefilter("ignore")
    problem = CASES[case][0](folder, quick)
    if reference is None:
        pipe.send(problem.value(*problem.ours(RESERVE, threads)))
        return
    for k, tol in enumerate([COMPILES.get(solver, TIGHTER[0]), *TIGHTER]):  # the first fit pays for imports
        begun, worked = time.perf_counter(), time.process_time()
        try:
            found = getattr(problem, solver)(tol, threads)
        except ImportError as error:
            pipe.send(f"not installed ({error.name})")
            return
        except Exception as error:
            pipe.send(f"{type(error).__name__}: {str(error)[:100]}")
            return
        seconds, cores = time.perf_counter() - begun, time.process_time() - worked
        found = found() if callable(found) else found
        gap = (problem.value(*found) - reference) / abs(reference)
        if k:
            pipe.send((tol, seconds, cores, gap))
        if k and gap <= GAP:
            return


def results_of(limit, *args):
    """Return what a process sends until it ends, or its time is over."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=run, args=(*args, theirs), daemon=True)
    process.start()
    theirs.close()
    found, end = [], time.monotonic() + limit
    try:
        while ours.poll(max(0.0, end - time.monotonic())):
            found.append(ours.recv())
        found.append(f"no more after {limit} s")
    except EOFError:
        pass
    if process.is_alive():
        process.terminate()
    process.join()
    return found


def plot(results, path, clock):
    """Draw gaps against seconds."""
    from matplotlib.figure import Figure

    n_columns = min(3, len(results))
    n_lines = -(-len(results) // n_columns)
    figure = Figure(figsize=(3.4 * n_columns, 2.9 * n_lines), layout="constrained")
    for number, (case, solvers) in enumerate(results.items()):
        axes = figure.add_subplot(n_lines, n_columns, number + 1)
        for solver, points in solvers.items():
            if points:
                seconds, gaps = [point[CLOCKS[clock]] for point in points], [max(point[3], LEAST) for point in points]
                style = {"linewidth": 2.5, "zorder": 3} if solver == "ours" else {"linewidth": 1}
                label = "VectorFlow" if solver == "ours" else solver
                axes.loglog(seconds, gaps, ".-", color=f"C{COLOURS.index(solver)}", label=label, **style)
        axes.xaxis.set_minor_formatter("")
        axes.axhline(GAP, color="0.6", linewidth=0.7)
        axes.set(title=case, xlabel=f"seconds of {clock}" if clock == "cores" else "seconds", ylabel="relative gap")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(fontsize="x-small")
    figure.savefig(path, dpi=150)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", default=list(CASES), metavar="CASE")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data", default="workload-data", help="where synthetic rows are kept")
    parser.add_argument("--seconds", type=int, default=600, help="for one solver")
    parser.add_argument("--solvers", nargs="*", help="only these")
    parser.add_argument("--quick", action="store_true", help="fewer rows")
    parser.add_argument("--plot", metavar="FILE")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="of the picture")
    parser.add_argument("--read", nargs="*", metavar="FILE", help="draw numbers that --json wrote; run nothing")
    parser.add_argument("--json", metavar="FILE", help="where the numbers go")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = str(args.threads)
    results = {}
    for file in args.read or []:
        results.update(json.loads(Path(file).read_text()))
    for case in [] if args.read else args.cases:
        if case in ("news20", "rcv1_l1", "cox") and "VECTORFLOW_DATA" not in os.environ:
            print(f"{case}: VECTORFLOW_DATA names no folder", file=sys.stderr)
            continue
        common = args.data, args.quick, args.threads
        reference = results_of(args.seconds, case, "ours", *common, None)[0]
        if isinstance(reference, str):
            print(f"\n{case}: {reference}, and no optimum")
            continue
        print(f"\n{case}: optimum {reference:.10f}")
        results[case] = {}
        for solver in CASES[case][1]:
            if args.solvers and solver not in args.solvers:
                continue
            found = results_of(args.seconds, case, solver, *common, reference)
            points = [one for one in found if not isinstance(one, str)]
            results[case][solver] = points
            for tol, seconds, cores, gap in points:
                times = f"{seconds:8.3f} s {cores:8.3f} s of cores"
                print(f"  {solver:10} tol {tol:.0e} {times}  gap {gap:9.2e}", flush=True)
            for message in (one for one in found if isinstance(one, str)):
                print(f"  {solver:10} {message}", flush=True)
    if args.json and not args.read:
        Path(args.json).write_text(json.dumps(results))
    if args.plot:
        plot(results, args.plot, args.clock)


if __name__ == "__main__":
    main()
