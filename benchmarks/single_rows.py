"""Requests of single rows and of a hundred, and loading of models, of several packages; a part of serving.py."""

import os
import pickle
import statistics
import tempfile
import time
from pathlib import Path

import joblib
import numpy as np

import sklearn_vectorflow

METHODS = "decision_function", "predict", "predict_proba"
N_SINGLE = 1000  # rows that are predicted one by one
N_CANDIDATES = 100


def timed(function, *args):
    """Return the seconds of a call."""
    begun = time.perf_counter()
    function(*args)
    return time.perf_counter() - begun


def medians(tasks, repeat):
    """Return the median seconds of tasks that take turns, each a function that returns seconds."""
    turns = [{name: task() for name, task in tasks.items()} for _ in range(repeat + 1)]
    return {name: statistics.median(turn[name] for turn in turns[1:]) for name in tasks}  # the first one warms up


def median_call(method, requests):
    """Return the median seconds of a call."""
    return statistics.median(timed(method, request) for request in requests)


def onnx_method(model, method):
    """Return a method that takes rows as CSR, run by onnxruntime on one thread, or None if that is not installed."""
    try:
        import onnxruntime

        from sklearn_vectorflow.onnx import to_onnx

        exported = to_onnx(model, method).SerializeToString()
    except ImportError:
        return None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(exported, options, providers=["CPUExecutionProvider"])

    def predict(row):
        arrays = {"indices": row.indices.astype(np.int64), "offsets": row.indptr.astype(np.int64), "values": row.data}
        return session.run(None, arrays)[0]

    return predict


def print_requests(X, ours, theirs, repeat):
    """Print microseconds of calls with one row, and with candidates to choose from."""
    ours.set_params(n_jobs=None)
    singles = [X[row] for row in range(N_SINGLE)]
    pairs = [(row.indices, row.data) for row in singles]
    many = [X[row : row + N_CANDIDATES] for row in range(0, N_SINGLE, N_CANDIDATES)]
    names = ("VectorFlow", "predictor", "predictor, arrays", "SGDClassifier", "onnxruntime")
    for title, rows, arrays in (("one row", singles, pairs), (f"{N_CANDIDATES} rows", many, None)):
        print(f"{title + ', us':<19}" + "".join(f"{name:>19}" for name in names))
        for method in METHODS:
            light, exported = ours.predictor(method), onnx_method(ours, method)
            calls = [(getattr(ours, method), rows), (light, rows), (light, arrays), (getattr(theirs, method), rows)]
            calls.append((exported, rows))
            tasks = {
                name: lambda call=call: median_call(*call)
                for name, call in zip(names, calls)
                if None not in (call[0], call[1])
            }
            found = medians(tasks, repeat)
            cells = [f"{1e6 * found[name]:>19.1f}" if name in found else f"{'-':>19}" for name in names]
            print(f"  {method:<17}" + "".join(cells), flush=True)
    if onnx_method(ours, METHODS[0]) is None:
        print("  onnxruntime, or onnx, is not installed")


def print_loading(X, ours, theirs, repeat):
    """Print how long it takes until a saved model has predicted a row, and megabytes of its file."""
    row = X[:1]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model")
        ways = {
            "save and load, mapped": (lambda: ours.save(path, keep_state=False), lambda: _loaded(path, True)),
            "save and load": (lambda: ours.save(path, keep_state=False), lambda: _loaded(path, False)),
            "pickle": (lambda: path.write_bytes(pickle.dumps(ours)), lambda: pickle.loads(path.read_bytes())),
            "joblib": (lambda: joblib.dump(ours, path), lambda: joblib.load(path)),
            "SGDClassifier, pickle": (
                lambda: path.write_bytes(pickle.dumps(theirs)),
                lambda: pickle.loads(path.read_bytes()),
            ),
            "SGDClassifier, joblib": (lambda: joblib.dump(theirs, path), lambda: joblib.load(path)),
        }
        print(f"{'until the first row':<28} {'ms':>9} {'file, MB':>9}")
        for name, (save, load) in ways.items():
            save()
            seconds = medians({name: lambda load=load: timed(lambda: load().predict(row))}, repeat)[name]
            print(f"  {name:<26} {1e3 * seconds:>9.2f} {os.path.getsize(path) / 2**20:>9.1f}", flush=True)


def _loaded(path, mmap):
    return sklearn_vectorflow.load(path, mmap=mmap)
