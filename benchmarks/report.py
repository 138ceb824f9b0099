"""Runs of compare.py as lines, as a table in Markdown and as a picture."""

import statistics
from dataclasses import dataclass
from pathlib import Path

OURS = "VectorFlow, defaults"  # what others are compared with


@dataclass
class Step:
    """Where a run was after some epochs."""

    epochs: float
    training: float
    whole: float
    loss: float


@dataclass
class Run:
    """Steps of a model, and how many megabytes it took at most."""

    steps: list
    megabytes: float

    @classmethod
    def of(cls, steps, megabytes):
        """Make a run of what JSON keeps of it."""
        return cls([Step(**step) for step in steps], megabytes)

    @property
    def best(self):
        """The lowest loss seen."""
        return min(step.loss for step in self.steps)

    def first_below(self, target):
        """Return the first step whose loss reaches a target, or None."""
        return next((step for step in self.steps if step.loss <= target), None)


def median_step(runs, target):
    """Return the medians of the first steps that reach a target, or None if a run does not reach it."""
    reached = [run.first_below(target) for run in runs]
    if not reached or not all(reached):
        return None
    return Step(*(statistics.median(getattr(step, part) for step in reached) for part in Step.__dataclass_fields__))


def megabytes(runs):
    """Return the median of the most memory."""
    return statistics.median(run.megabytes for run in runs)


def times_ours(step, runs, target):
    """Return how many times the training seconds of our defaults a step's are, or None."""
    ours = median_step(runs.get(OURS, []), target)
    return step.training / ours.training if step and ours else None


def title_of(case):
    """Return what a case trains on what."""
    return f"{case.workload}, {case.kind or (f'{case.hidden[0]} hidden units' if case.hidden else 'linear')}"


def print_case(case, runs):
    """Print a line for every target and model."""
    print(f"\n{title_of(case)}")
    columns = f"{'training s':>10} {'times ours':>10} {'whole s':>9} {'epochs':>7}"
    print(f"{'target':>8}  {'':<28} {columns} {'MB':>6}   best loss seen")
    for target in case.targets:
        for model, of in runs.items():
            step = median_step(of, target)
            cells = f"{'not reached':>39}"
            if step:
                times = times_ours(step, runs, target)
                times = f"{times:.1f}" if times else ""
                cells = f"{step.training:>10.3f} {times:>10} {step.whole:>9.3f} {step.epochs:>7g}"
            best = min(run.best for run in of)
            print(f"{target:>8.4f}  {model:<28} {cells} {megabytes(of):>6.0f}   {best:.4f}", flush=True)


def cell(step, runs, target):
    """Return seconds of training and how many times ours they are, in Markdown."""
    if step is None:
        return "–"
    times = times_ours(step, runs, target)
    return f"{step.training:.2f}" + (f" ({times:.1f}x)" if times else "")


def lines_of(case, runs):
    """Yield the lines of a table in Markdown, a line a model, a column a target."""
    targets = [f"s to {target:.4f}" for target in case.targets]
    heads = [title_of(case), *targets, "set-up s", "MB"]
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for model, of in runs.items():
        cells = [cell(median_step(of, target), runs, target) for target in case.targets]
        set_up = statistics.median(run.steps[0].whole - run.steps[0].training for run in of)
        yield f"| {' | '.join([model, *cells, f'{set_up:.1f}', f'{megabytes(of):.0f}'])} |"


def write_table(path, head, cases, results):
    """Write all cases as tables in Markdown, below a line of machine and versions."""
    tables = ["\n".join(lines_of(cases[name], runs)) for name, runs in results.items()]
    note = f"Seconds of training, and in brackets how many times those of {OURS} they are; – is not reached."
    Path(path).write_text("\n\n".join([head, note, *tables]) + "\n")


def styles(results):
    """Return how each model's line looks: ours in black and thick, every other in a colour and marker of its own."""
    models = list(dict.fromkeys(model for runs in results.values() for model in runs))
    looks, others = {}, 0
    for model in models:
        if model.startswith("VectorFlow"):
            tuned = {} if model == OURS else {"color": "dimgrey", "ls": (0, (3, 1)), "mfc": "white", "zorder": 4}
            looks[model] = {"color": "black", "lw": 2.5, "marker": "o", "ms": 5, "zorder": 3} | tuned
        else:
            looks[model] = {"color": f"C{others % 10}", "lw": 1.2, "marker": "sv^D<>Pp*Xh"[others % 11], "ms": 4}
            others += 1
    return looks


def draw_case(axes, case, runs, looks):
    """Draw the loss of the run of median length of each model against its seconds."""
    from matplotlib.ticker import LogLocator, NullFormatter

    for model, of in runs.items():
        steps = sorted(of, key=lambda run: run.steps[-1].training)[len(of) // 2].steps
        axes.plot([step.training for step in steps], [step.loss for step in steps], **looks[model])
    for target in case.targets:
        axes.axhline(target, color="grey", lw=0.6, ls=":", zorder=0)
        axes.annotate(
            f"{target:.4f}",
            (1, target),
            xycoords=("axes fraction", "data"),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize="x-small",
            color="grey",
        )
    target, lowest = min(case.targets), min(run.best for of in runs.values() for run in of)
    axes.set(title=title_of(case), xscale="log", ylim=(min(target, lowest) - 0.002, target + 0.03))
    axes.set(xlabel="seconds of training", ylabel="test loss")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())


def draw(path, cases, results):
    """Draw losses against seconds of training, a panel a case, below one legend."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    n_columns = min(3, len(results))
    n_rows = -(-len(results) // n_columns)
    figure = Figure(figsize=(4.6 * n_columns, 3.8 * n_rows + 0.7), layout="constrained")
    panels, looks = figure.subplots(n_rows, n_columns, squeeze=False).ravel(), styles(results)
    for axes in panels[len(results) :]:
        axes.set_visible(False)
    for axes, (name, runs) in zip(panels, results.items()):
        draw_case(axes, cases[name], runs, looks)
    lines = [Line2D([], [], label=model, **look) for model, look in looks.items()]
    figure.legend(handles=lines, loc="outside lower center", ncols=2 * n_columns, fontsize="small", handlelength=3.5)
    figure.savefig(path, dpi=120)
