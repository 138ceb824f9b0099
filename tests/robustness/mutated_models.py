"""Files of saved models with parts changed: a program, since a fault may end the process.

Usage: python mutated_models.py FIRST_SEED LAST_SEED

Prints the seed that it is at, then the counts. A file whose bytes are damaged is refused with a ValueError that names
it. One that is forged, its checksums being right, is refused so, too, or its model predicts, trains and is saved again,
or raises an error that says why not; the same goes for one whose header gives an array another type. One whose header
gives arrays other shapes or places is refused, or predicts what it did.
"""

import collections
import json
import math
import random
import sys
import tempfile
import warnings
from pathlib import Path

import mutated_pickles as pickles
import numpy as np
from hostile_doors import limit_memory

import sklearn_vectorflow
from sklearn_vectorflow.persistence.container import ALIGNED, LENGTH, META, TYPES, UNSIGNED, _sha256, read, write

NAMES = [name for name in pickles.MODELS if name not in ("encoder", "crosser")]
WILD = [0, 1, -1, 2, 7, 2**31, 2**32, 2**62, 2**63, 2**64, 1.0, 1e300, True, None, "8", [8]]
SPANS = [1, 1, 2, 8, 64, 400]
FOLDER = tempfile.TemporaryDirectory()
PATH = Path(FOLDER.name, "model.safetensors")
SAVED = {}


def saved(name, keep_state):
    """Return the bytes of a saved model, made once."""
    if (name, keep_state) not in SAVED:
        pickles.model(name).save(PATH, keep_state=keep_state)
        SAVED[name, keep_state] = PATH.read_bytes()
    return SAVED[name, keep_state]


def damaged(content, draw):
    """Return bytes with one or a few faults."""
    content = bytearray(content)
    for _ in range(draw.choice([1, 1, 1, 2, 4])):
        end = len(content) if draw.random() < 0.7 else min(len(content), 300)
        at = draw.randrange(end + 1)
        span = min(draw.choice(SPANS), len(content) - at)
        what = draw.randrange(7)
        if what < 2 and span:
            content[at] ^= 1 << draw.randrange(8)
        elif what == 2:
            content[at : at + span] = bytes(span)
        elif what == 3:
            content[at:at] = draw.randbytes(span)
        elif what == 4:
            del content[at : at + span]
        elif what == 5:
            del content[at:]
        else:  # two spans change places
            other = draw.randrange(len(content) + 1)
            a, b = content[at : at + span], content[other : other + span]
            content[at : at + span], content[other : other + span] = b, a
    return bytes(content)


def _nodes(node):
    """Return all lists in JSON, each of which has a place that can be changed."""
    inside = node if isinstance(node, list) else node.values() if isinstance(node, dict) else ()
    found = [node] if isinstance(node, list) and node else []
    return found + [one for part in inside for one in _nodes(part)]


def forge(draw):
    """Change the arrays or the JSON of the file, and write it with checksums that are right."""
    model, arrays = read(PATH, mmap=False)
    names, rng = sorted(arrays), np.random.default_rng(draw.randrange(2**32))
    way = draw.randrange(4)
    if way == 0:
        name = draw.choice(names)
        changed = pickles._changed_array(rng, arrays[name], list(arrays.values()))
        arrays[name] = changed if changed.dtype != object else arrays[name]
    elif way == 1:
        one, other = draw.choice(names), draw.choice(names)
        arrays[one], arrays[other] = arrays[other], arrays[one]
    else:
        nodes = _nodes(model)
        node, other = draw.choice(nodes), draw.choice(nodes)
        at = draw.randrange(len(node))
        if way == 2:
            kept = json.loads(json.dumps(draw.choice(other)))
            node[at] = kept
        else:
            node[:] = pickles._changed_items(rng, node, [])
    try:
        write(PATH, model, arrays)
    except (TypeError, ValueError):  # of what JSON does not hold
        return False
    return True


def change_header(draw, content, retype):
    """Return a file whose header gives an array another type, or shape or place, and has a checksum that is right."""
    length = int.from_bytes(content[:LENGTH], "little")
    header, arrays = json.loads(content[LENGTH : LENGTH + length]), content[LENGTH + length :]
    entries = [one for name, one in header.items() if name != META]
    entry, other = draw.choice(entries), draw.choice(entries)
    shape, way = entry["shape"], draw.randrange(5)
    if retype:
        entry["dtype"] = draw.choice([*TYPES, "F8", "", None, 7])
    elif way == 0:
        entry["shape"], other["shape"] = other["shape"], shape
    elif way == 1:
        entry["shape"] = draw.choice([shape[::-1], [*shape, 1], [1, *shape], [math.prod(shape)], shape[:-1], []])
    elif way == 2:
        entry["shape"] = [draw.choice(WILD) for _ in range(draw.randrange(1, 4))]
    elif way == 3:
        entry["data_offsets"][draw.randrange(2)] = draw.choice([*WILD, len(arrays), len(arrays) - 8])
    else:
        entry["data_offsets"], other["data_offsets"] = other["data_offsets"], entry["data_offsets"]
    header[META]["sha256"] = UNSIGNED
    raw = json.dumps(header).encode()
    raw += b" " * ((length - len(raw)) % ALIGNED)
    raw = raw.replace(UNSIGNED.encode(), _sha256(raw), 1)
    return len(raw).to_bytes(LENGTH, "little") + raw + arrays


def case(seed):
    """Run a case; return the model's name and what came of it."""
    warnings.simplefilter("ignore")
    draw = random.Random(seed)
    name = draw.choice(NAMES)
    content = saved(name, draw.random() < 0.5)
    kind = draw.choice(["damaged", "damaged", "forged", "forged", "reshaped", "reshaped", "retyped"])
    PATH.write_bytes(content)
    if kind == "forged":
        if not forge(draw):
            return name, "no file"
    else:
        changed = damaged(content, draw) if kind == "damaged" else change_header(draw, content, kind == "retyped")
        PATH.write_bytes(changed)
        if changed == content:
            return name, "unchanged"
    try:
        model = sklearn_vectorflow.load(PATH, mmap=draw.random() < 0.5)
    except ValueError as error:
        if PATH.name not in str(error):
            return name, f"fault {kind}: the message names no file: {error}"
        return name, f"{kind}, refused"
    except Exception as error:
        return name, f"fault {kind}: {error!r}"
    if kind == "damaged":
        return name, "fault damaged: loaded"
    try:
        found = model.predict(pickles.X)
        if kind == "reshaped" and not np.array_equal(found, pickles.model(name).predict(pickles.X)):
            return name, "fault reshaped: it predicts otherwise"
        use(name, model)
    except (ValueError, TypeError, MemoryError) as error:
        return name, f"{kind}, failed: {type(error).__name__}"
    except Exception as error:
        return name, f"fault {kind}: {error!r}"
    return name, f"{kind}, used"


def use(name, model):
    """Save and load a model again, and do with it what one does with models."""
    again = PATH.with_name("again.safetensors")
    model.save(again)
    np.testing.assert_array_equal(sklearn_vectorflow.load(again).predict(pickles.X), model.predict(pickles.X))
    pickles.use(name, model)


def main(first, last):
    counts = collections.Counter()
    for seed in range(first, last):
        print(f"at {seed}", flush=True)
        name, outcome = case(seed)
        if outcome.startswith("fault"):
            print(f"fault at {seed}: {name}, {outcome[6:]}", flush=True)
            outcome = "fault"
        counts[outcome] += 1
    print("counts", dict(sorted(counts.items())))


if __name__ == "__main__":
    limit_memory()
    main(int(sys.argv[1]), int(sys.argv[2]))
