"""Seconds to a test loss, side by side with other packages, in one run.

    python benchmarks/compare.py [--data FOLDER] [--case text ctr ...] [--model "Snap ML" ...] [--threads 2]
                                 [--repeat 5] [--most-seconds 10] [--picture compare.png] [--quick]

Models (peers/) take turns, each in a process of its own; one whose package is missing is
left out. Printed are medians, of the models as they were after the first epoch that reached a
target: seconds in the call that trains, and with all that the package needs before it (other
formats, files, empty models); epochs; and how far memory went above that of the loaded rows.
Test rows are not counted. The picture shows losses against seconds.
"""
import argparse
import contextlib
import importlib
import importlib.util
import multiprocessing
import pkgutil
import platform
import statistics
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

import peers
import workloads
from peers.base import Case

CASES = {
    "text": Case("text", (), (0.4466, 0.4436, 0.4424)),
    "ctr": Case("ctr", (), (0.4860, 0.4827, 0.4815)),
    "surv1m": Case("surv1m", (), (0.5040, 0.5006)),
    "text-32": Case("text", (32,), (0.4480,)),
    "text-200": Case("text", (200,), (0.4483,)),
    "ctr-32": Case("ctr", (32,), (0.4860,)),
}
PATIENCE = 3  # points without a better loss before a path ends


@dataclass
class Step:
    """Where a path was after some epochs."""

    epochs: float
    training: float
    whole: float
    loss: float


def models():
    """Return the models of all modules in peers/ by name; one whose package is missing is told and left out."""
    found, missing = {}, set()
    for module in pkgutil.iter_modules(peers.__path__):
        for model in getattr(importlib.import_module(f"peers.{module.name}"), "MODELS", ()):
            if importlib.util.find_spec(model.package):
                found[model.name] = model
            else:
                missing.add(model.package)
    for package in sorted(missing):
        print(f"{package} is not installed: left out")
    return found


def load(folder, case, split, quick):
    """Return rows and targets of a split."""
    if case.survival:
        return workloads.load_times(folder, split, quick)
    return workloads.load(folder, case.workload, split, quick)


def loss_of(case, predicted, y):
    """Mean log loss, or negative log-likelihood of exponential times."""
    if case.survival:
        return float(np.mean(np.exp(predicted) * y[1] - y[0] * predicted))
    right = np.clip(np.where(y > 0, predicted, 1.0 - predicted), 1e-15, 1.0)
    return float(-np.mean(np.log(right)))


def megabytes(entry):
    """Return the process's present ("VmRSS") or highest ("VmHWM") memory; not a number but on Linux."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return float("nan")
    return int(status.split(f"{entry}:")[1].split()[0]) / 1000


def forget_highest_memory():
    """Lets "VmHWM" start from what is held now."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def walk(name, case_name, folder, quick, threads, most_seconds):
    """Train one model; return its steps and the most megabytes it took. Runs in a process of its own."""
    warnings.simplefilter("ignore")
    case, model, steps = CASES[case_name], models()[name], []
    train, test = (load(folder, case, split, quick) for split in workloads.SEEDS)
    forget_highest_memory()
    loaded = megabytes("VmRSS")
    with threadpool_limits(threads):
        for point in model.path(case, model.params[case_name], train, threads):
            loss = loss_of(case, point.predict(test[0]), test[1])
            steps.append(Step(point.epochs, point.training, point.whole, loss))
            best = int(np.argmin([step.loss for step in steps]))
            over = point.training > most_seconds or len(steps) - best > PATIENCE
            if loss <= min(case.targets) or over:
                break
    return steps, megabytes("VmHWM") - loaded


def alone(*args):
    """Call `walk` in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(walk, args)


def first_below(steps, target):
    """Return the first step whose loss reaches a target, or None."""
    return next((step for step in steps if step.loss <= target), None)


def print_case(name, case, runs):
    """Print a line for every target and model."""
    print(f"\n{name}: {case.workload}, {case.hidden or 'linear'}")
    print(f"{'target':>8}  {'':<28} {'training s':>10} {'whole s':>9} {'epochs':>7} {'MB':>6}   best loss seen")
    for target in case.targets:
        for model, of in runs.items():
            reached = [first_below(steps, target) for steps, _ in of]
            best = min(step.loss for steps, _ in of for step in steps)
            memory = statistics.median(most for _, most in of)
            cells = f"{'not reached':>28}"
            if all(reached):
                parts = ("training", "whole", "epochs")
                training, whole, epochs = (statistics.median(getattr(step, part) for step in reached) for part in parts)
                cells = f"{training:>10.3f} {whole:>9.3f} {epochs:>7g}"
            print(f"{target:>8.4f}  {model:<28} {cells} {memory:>6.0f}   {best:.4f}", flush=True)


def draw(path, results):
    """Draw the losses against seconds of training of every case's first runs."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    figure = Figure(figsize=(5 * len(results), 4.5), layout="constrained")
    for axes, (name, runs) in zip(figure.subplots(1, len(results), squeeze=False)[0], results.items()):
        for model, of in runs.items():
            steps = of[0][0]
            axes.plot([step.training for step in steps], [step.loss for step in steps], "o-", ms=3, label=model)
        for target in CASES[name].targets:
            axes.axhline(target, color="grey", lw=0.5)
        lowest = min(CASES[name].targets)
        axes.set(title=name, xscale="log", xlabel="seconds of training", ylabel="test loss")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_ylim(lowest - 0.004, lowest + 0.04)
        axes.legend(fontsize="x-small")
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder that keeps the generated rows; default: a temporary one")
    parser.add_argument("--case", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--model", nargs="+", help="names of models; default: all")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=5, help="runs of each model, in turns")
    parser.add_argument("--most-seconds", type=float, default=10.0, help="of training, after which a run ends")
    parser.add_argument("--picture", default="compare.png")
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    options = parser.parse_args()
    chosen, results = models(), {}
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, {options.threads} threads")
    with tempfile.TemporaryDirectory() as temporary:
        folder = str(Path(options.data or temporary).resolve())
        for name in options.case:
            wanted = options.model or chosen
            names = [of for of, model in chosen.items() if name in model.params and of in wanted]
            for split in workloads.SEEDS:
                load(folder, CASES[name], split, options.quick)  # drawn once, before anyone's turn
            runs = results[name] = {model: [] for model in names}
            for _ in range(options.repeat):
                for model in names:
                    args = folder, options.quick, options.threads, options.most_seconds
                    runs[model].append(alone(model, name, *args))
            print_case(name, CASES[name], runs)
    draw(options.picture, results)


if __name__ == "__main__":
    main()
