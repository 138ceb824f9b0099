"""Seconds to a test loss, side by side with other packages, in one run.

    python benchmarks/compare.py [--data FOLDER] [--case text ctr ...] [--model "Snap ML" ...] [--threads 2]
                                 [--repeat 5] [--most-seconds 10] [--picture compare.png] [--table compare.md]
                                 [--results runs.json] [--quick]

Models (peers/) take turns, each in a process of its own; one whose package is missing is
left out. Printed are medians, of the models as they were after the first epoch that reached a
target: seconds in the call that trains, and how many times those of VectorFlow's defaults they
are; seconds with all that the package needs before it (other formats, files, empty models);
epochs; and how far memory went above that of the loaded rows. Test rows are not counted. The
picture shows losses against seconds, and a table in Markdown the same in short. `--results`
keeps runs for the next time: table and picture are then of all runs so far.
"""

import argparse
import contextlib
import importlib
import importlib.util
import json
import multiprocessing
import pkgutil
import tempfile
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

import machine
import numpy as np
import peers
import report
import workloads
from peers.base import N_FIELDS, Case
from report import Run, Step
from threadpoolctl import threadpool_limits

CASES = {
    "text": Case("text", (), (0.4466, 0.4436, 0.4424)),
    "ctr": Case("ctr", (), (0.4860, 0.4827, 0.4815)),
    "surv1m": Case("surv1m", (), (0.5040, 0.5006)),
    "text-32": Case("text", (32,), (0.4480,)),
    "text-200": Case("text", (200,), (0.4483,)),
    "ctr-32": Case("ctr", (32,), (0.4860,)),
    "text-machine": Case("text", (), (0.4464,), "factorization machine of rank 8"),
    "text-fields": Case("text", (), (0.4464,), f"field-aware machine of {N_FIELDS} fields and rank 4"),
    "text-adam": Case("text", (32,), (0.4480,), "32 hidden units with Adam"),
    "text-averaged": Case("text", (), (0.4439,), "linear, averaged SGD or AdaGrad"),
    "text-l1": Case("text", (), (0.4466,), "linear with L1"),
    "text-20": Case("text", (), (1.8196,), "20 classes", 20),
}
PATIENCE = 3  # points without a better loss before a path ends


def models():
    """Return the models of all modules in peers/ by name, ours first."""
    modules = [importlib.import_module(f"peers.{module.name}") for module in pkgutil.iter_modules(peers.__path__)]
    found = [model for module in modules for model in getattr(module, "MODELS", ())]
    return {model.name: model for model in sorted(found, key=lambda model: model.package != "sklearn_vectorflow")}


def installed(found):
    """Return the models whose package is there; tell which are missing."""
    there = {name: model for name, model in found.items() if importlib.util.find_spec(model.package)}
    for package in sorted({model.package for model in found.values()} - {model.package for model in there.values()}):
        print(f"{package} is not installed: left out")
    return there


def load(folder, case, split, quick):
    """Return rows and targets of a split."""
    if case.survival:
        return workloads.load_times(folder, split, quick)
    if case.n_classes > 2:
        return workloads.load_classes(folder, case.workload, split, case.n_classes, quick)
    return workloads.load(folder, case.workload, split, quick)


def loss_of(case, predicted, y):
    """Mean log loss, or negative log-likelihood of exponential times."""
    if case.survival:
        return float(np.mean(np.exp(predicted) * y[1] - y[0] * predicted))
    if case.n_classes == 2:
        predicted = np.column_stack([1.0 - predicted, predicted])
    return float(-np.mean(np.log(np.clip(predicted[np.arange(len(y)), y.astype(int)], 1e-15, 1.0))))


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


def warm_memory(n_bytes=2**31):
    """Have the system's memory at hand: that of a virtual machine may have gone back to its host meanwhile.

    Whoever took it first would pay for it, up to 5 ms every 2 MB.
    """
    np.ones(n_bytes // 8)


def walk(name, case_name, folder, quick, threads, most_seconds):
    """Train one model; return the run. Called in a process of its own."""
    warnings.simplefilter("ignore")
    case, model, steps = CASES[case_name], models()[name], []
    train, test = (load(folder, case, split, quick) for split in workloads.SEEDS)
    warm_memory()
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
    return Run(steps, megabytes("VmHWM") - loaded)


def alone(*args):
    """Call `walk` in a fresh process, not a daemon: in those joblib allows one thread."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(walk, *args).result()


def read_results(path):
    """Return runs of earlier times, by case and model."""
    if not path or not Path(path).exists():
        return {}
    cases = json.loads(Path(path).read_text())
    return {case: {model: [Run.of(**run) for run in of] for model, of in runs.items()} for case, runs in cases.items()}


def write_results(path, results):
    """Keep runs for the next time."""
    cases = {case: {model: list(map(asdict, of)) for model, of in runs.items()} for case, runs in results.items()}
    Path(path).write_text(json.dumps(cases))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder that keeps the generated rows; default: a temporary one")
    parser.add_argument("--case", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--model", nargs="+", help="names of models; default: all")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=5, help="runs of each model, in turns")
    parser.add_argument("--most-seconds", type=float, default=10.0, help="of training, after which a run ends")
    parser.add_argument("--picture", default="compare.png")
    parser.add_argument("--table", help="file for a table in Markdown")
    parser.add_argument("--results", help="file of runs, read and added to")
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    options = parser.parse_args()
    chosen, results = installed(models()), read_results(options.results)
    head = f"{machine.describe()}, {options.threads} threads; {machine.versions(of.package for of in chosen.values())}"
    print(head)
    with tempfile.TemporaryDirectory() as temporary:
        folder = str(Path(options.data or temporary).resolve())
        for name in options.case:
            wanted = options.model or chosen
            names = [of for of, model in chosen.items() if name in model.params and of in wanted]
            for split in workloads.SEEDS:
                load(folder, CASES[name], split, options.quick)  # drawn once, before anyone's turn
            runs = results.setdefault(name, {})
            for _ in range(options.repeat):
                for model in names:
                    args = folder, options.quick, options.threads, options.most_seconds
                    runs.setdefault(model, []).append(alone(model, name, *args))
            report.print_case(CASES[name], runs)
            if options.results:
                write_results(options.results, results)
    if options.table:
        report.write_table(options.table, head, CASES, results)
    report.draw(options.picture, CASES, results)


if __name__ == "__main__":
    main()
