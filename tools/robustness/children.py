"""Work in forked processes, whose crashes and hangs are seen."""

import os
import pickle
import select
import signal
import time
import traceback
import warnings

KILLED = 97  # exit status of a child that ended itself where it was told to


def start(function, *args):
    """Begin ``function(*args)`` in a forked process; return its number and where its result comes from."""
    get, put = os.pipe()
    number = os.fork()
    if number:
        os.close(put)
        return number, get
    os.close(get)
    status = 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = function(*args)
    except BaseException:
        status, result = 1, traceback.format_exc()
    with os.fdopen(put, "wb") as pipe:
        pickle.dump(result, pipe)
    os._exit(status)


def finish(child, seconds=120):
    """Wait for a child; return ("done" | "error" | "killed" | "crash by signal n" | "hang", its result or None)."""
    number, get = child
    content, until, hang = b"", time.monotonic() + seconds, False
    while True:
        ready = select.select([get], [], [], max(0.0, until - time.monotonic()))[0]
        if not ready:
            hang = True
            os.kill(number, signal.SIGKILL)
            break
        some = os.read(get, 2**16)
        if not some:
            break
        content += some
    os.close(get)
    status = os.waitpid(number, 0)[1]
    if hang:
        return "hang", None
    if os.WIFSIGNALED(status):
        return f"crash by signal {os.WTERMSIG(status)}", None
    code = os.WEXITSTATUS(status)
    if code == KILLED:
        return "killed", None
    return ("done" if code == 0 else "error"), pickle.loads(content)


def run(function, *args, seconds=120):
    """Return what `finish` does for ``function(*args)`` in a process of its own."""
    return finish(start(function, *args), seconds)


class Counts(dict):
    """How often each outcome came, with an example of each that is wrong."""

    def __init__(self):
        self.wrong = {}

    def add(self, outcome, n=1):
        """Count an outcome that is as it should be."""
        self[outcome] = self.get(outcome, 0) + n

    def fail(self, outcome, example):
        """Count one that is not."""
        self.add(outcome)
        self.wrong.setdefault(outcome, example)

    def merge(self, other):
        """Add the counts of another."""
        for outcome, n in other.items():
            self.add(outcome, n)
        for outcome, example in other.wrong.items():
            self.wrong.setdefault(outcome, example)

    def report(self, title):
        """Print all; return whether nothing is wrong."""
        print(f"{title}: " + ", ".join(f"{n:,} {outcome}" for outcome, n in sorted(self.items())), flush=True)
        for outcome, example in self.wrong.items():
            print(f"  WRONG, {outcome}, for example: {example}", flush=True)
        return not self.wrong
