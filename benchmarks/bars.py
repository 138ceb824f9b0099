"""Draws the table of README.md, or one that `compare.py --table` wrote, as bars: seconds to the lowest loss of a case.

    python benchmarks/bars.py [--table README.md] [--picture doc/_static/speed.png]

A case is left out where no other package reaches a loss of the table.
"""

import argparse
import re
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
OURS = "VectorFlow"
CELL = re.compile(r"(?:(?P<name>\D*?) )?(?P<seconds>\d+(?:\.\d+)?)")


def cells(line):
    """Return the cells of a line of a table."""
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def bars_of(header, row):
    """Return the name and the seconds of every package that reached the loss of a row."""
    found = [(name, CELL.fullmatch(cell)) for name, cell in zip(header[2:], row[2:])]
    return [(" ".join(filter(None, (name, match["name"]))), float(match["seconds"])) for name, match in found if match]


def read(file):
    """Return the bars of the lowest loss of each case that more than one package reached."""
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    start = next(number for number, line in enumerate(lines) if OURS in line and "test loss" in line)
    header, cases = cells(lines[start]), {}
    for line in lines[start + 2 :]:
        row = cells(line)
        if len(row) != len(header):
            break
        bars = bars_of(header, row)
        if len(bars) > 1:
            cases[row[0]] = (row[1], bars)
    return cases


def draw(cases, file):
    """Draw a group of bars for each case, the fastest first."""
    from matplotlib.figure import Figure

    groups = [(case, loss, sorted(bars, key=lambda bar: bar[1])) for case, (loss, bars) in cases.items()]
    figure = Figure(figsize=(6.4, 0.28 * sum(len(bars) + 2 for _, _, bars in groups)), layout="constrained")
    axes = figure.subplots()
    y, ticks, names = 0, [], []
    for case, loss, bars in groups:
        axes.text(0, y, f"{case}: test loss {loss}", va="center", weight="bold")
        for name, seconds in bars:
            y += 1
            axes.barh(y, seconds, color="C0" if name.startswith(OURS) else "0.7")
            axes.text(seconds, y, f" {seconds:g}", va="center")
            ticks.append(y)
            names.append(name)
        y += 2
    axes.set(yticks=ticks, yticklabels=names, xlabel="seconds of training")
    axes.set_ylim(y - 1, -1)
    axes.margins(x=0.08)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    figure.savefig(file, dpi=150)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path, default=CHECKOUT / "README.md")
    parser.add_argument("--picture", type=Path, default=CHECKOUT / "doc" / "_static" / "speed.png")
    options = parser.parse_args()
    draw(read(options.table), options.picture)


if __name__ == "__main__":
    main()
