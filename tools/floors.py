"""Print the oldest versions that pyproject.toml allows, as constraints: ``python tools/floors.py [EXTRA ...]``."""

import re
import sys
import tomllib
from pathlib import Path


def floors(extras=()):
    """Return ``name==version`` for every requirement with a lower bound."""
    with open(Path(__file__).parents[1] / "pyproject.toml", "rb") as file:
        project = tomllib.load(file)["project"]
    wanted = [*project["dependencies"], *(each for extra in extras for each in project["optional-dependencies"][extra])]
    bounded = [re.fullmatch(r"([\w.-]+)>=([\w.]+)", requirement) for requirement in wanted]
    return sorted({f"{found[1]}=={found[2]}" for found in bounded if found})


if __name__ == "__main__":
    print("\n".join(floors(sys.argv[1:])))
