r"""Training as it is defined, in plain dense NumPy and float64.

The package reads and writes only the weights that a batch touches, and makes up for what
the others missed by closed forms. Here every step walks over every weight, so agreement
proves those closed forms. Nothing is imported from the package.

A net is a list of weights W of shape (n_in, n_out) and one of intercepts b. Definitions:

- **Step.** Rows of weight zero are left out; the weights of the others are scaled to a mean
  of one. Consecutive rows make a batch, the last batch may be short. Its gradient is the
  mean, over its rows, of weight times gradient.
- **Touch.** A batch touches row i of W if one of its rows has a non-zero input i there.
  Intercepts are touched always. Orthogonality touches everything.
- **AdaGrad.** s starts from epsilon and sums the squared gradients of a weight (row-wise:
  the means of a row's squared gradients); the step size is rate / sqrt(s), and zero before
  the first touch.
- **Adam.** Moments move when their row is touched, and n counts those touches; step size is
  rate / (sqrt(v / (1 - beta2^n)) + epsilon), zero before the first touch. Row-wise, v is that of
  the mean of a row's squared gradients.
- **FTRL.** After t steps w = c - sign(z) max(0, |z| - t l1) / ((beta + sqrt(n)) / rate + t l2),
  with z += g - sigma (w - c) and n += g^2 at a touch; z starts such that w is what it is.
- **SGD.** Step t (from zero) has the size rate / (1 + decay t)^power.
- **Penalty.** After every step, and for every weight, with the weight's own present step
  size h: |w - c| is reduced by h l1, not below zero, and divided by 1 + h l2. SGD decays
  along the gradient flow for a time h instead. Then w is raised to `lower` (in FTRL the
  closed form is). Intercepts have no penalty.
- **Orthogonality** adds strength W (W'W - I) to a layer's gradient.
- **Average.** The mean of the weights as they are after each step later than `average_from`. It may begin anew at the
  start of an epoch, each time that the steps have doubled since it last began: an eighth of the steps that it is over,
  but at least one, then stands for them.
"""

from itertools import combinations

import numpy as np

# ---- losses: of each row, and their gradients -----------------------------------------


def _indicators(y, raw):
    """1 where an output's class is the row's, else 0; y are class numbers or indicators."""
    if y.shape[1] == raw.shape[1] > 1:
        return y
    return (y == (np.arange(raw.shape[1]) if raw.shape[1] > 1 else 1)).astype(float)


def _margins(y, raw):
    sign = 2 * _indicators(y, raw) - 1
    return sign, sign * raw


def log_loss(y, raw):
    sign, margin = _margins(y, raw)
    return np.logaddexp(0, -margin), -sign / (1 + np.exp(margin))


def multinomial(y, raw):
    one_hot = _indicators(y, raw)
    log_p = raw - np.logaddexp.reduce(raw, axis=1, keepdims=True)
    return -one_hot * log_p, np.exp(log_p) - one_hot


def hinge(y, raw):
    sign, margin = _margins(y, raw)
    return np.maximum(0, 1 - margin), -sign * (margin < 1)


def squared_hinge(y, raw):
    sign, margin = _margins(y, raw)
    slack = np.maximum(0, 1 - margin)
    return slack**2, -2 * sign * slack


def modified_huber(y, raw):
    sign, margin = _margins(y, raw)
    slack = np.maximum(0, 1 - margin)
    return np.where(margin >= -1, slack**2, -4 * margin), sign * np.where(margin >= -1, -2 * slack, -4)


def squared_error(y, raw):
    return (y - raw) ** 2 / 2, raw - y


def absolute_error(y, raw):
    return abs(y - raw), np.sign(raw - y)


def huber(y, raw, delta=1.0):
    error = raw - y
    linear = delta * (abs(error) - delta / 2)
    return np.where(abs(error) <= delta, error**2 / 2, linear), np.clip(error, -delta, delta)


def epsilon_insensitive(y, raw, epsilon=0.1):
    excess = np.maximum(abs(raw - y) - epsilon, 0)
    return excess, np.sign(raw - y) * (excess > 0)


def squared_epsilon_insensitive(y, raw, epsilon=0.1):
    excess = np.maximum(abs(raw - y) - epsilon, 0)
    return excess**2, 2 * np.sign(raw - y) * excess


def quantile(y, raw, q=0.5):
    return np.maximum(q * (y - raw), (1 - q) * (raw - y)), np.where(raw > y, 1 - q, -q)


def poisson(y, raw):
    return np.exp(raw) - y * raw, np.exp(raw) - y


def gamma(y, raw):
    return raw + y * np.exp(-raw), 1 - y * np.exp(-raw)


def tweedie(y, raw, power=1.5):
    mean = np.exp(raw)
    loss = mean ** (2 - power) / (2 - power) - y * mean ** (1 - power) / (1 - power)
    return loss, mean ** (2 - power) - y * mean ** (1 - power)


# ---- activations: values, and derivatives from inputs -----------------------------------

_ALPHA, _SCALE = 1.6732632423543772, 1.0507009873554805


def _logistic(x):
    return 1 / (1 + np.exp(-x))


ACTIVATIONS = {
    "relu": (lambda x: np.maximum(0, x), lambda x: (x > 0).astype(float)),
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "selu": (
        lambda x: _SCALE * np.where(x > 0, x, _ALPHA * np.expm1(np.minimum(x, 0))),
        lambda x: _SCALE * np.where(x > 0, 1, _ALPHA * np.exp(np.minimum(x, 0))),
    ),
    "logistic": (_logistic, lambda x: _logistic(x) * (1 - _logistic(x))),
    "identity": (lambda x: x, np.ones_like),
}

# ---- nets -----------------------------------------------------------------------------


def forward(weights, intercepts, X, activation):
    """Return the inputs of every layer, and the raw outputs."""
    inputs, linear = [X], None
    for W, b in zip(weights, intercepts):
        linear = inputs[-1] @ W + b
        inputs.append(ACTIVATIONS[activation][0](linear))
    return inputs[:-1], linear


def backward(weights, intercepts, inputs, gradient, activation):
    """Return the gradients of weights and intercepts for those of the raw outputs."""
    of_weights, of_intercepts = [], []
    for k in reversed(range(len(weights))):
        of_weights.insert(0, inputs[k].T @ gradient)
        of_intercepts.insert(0, gradient.sum(axis=0))
        if k > 0:
            before = inputs[k - 1] @ weights[k - 1] + intercepts[k - 1]
            gradient = (gradient @ weights[k].T) * ACTIVATIONS[activation][1](before)
    return of_weights, of_intercepts


def mean_loss(weights, intercepts, X, y, loss, activation, sample_weight=None):
    """Return the weighted mean of the rows' losses."""
    _, raw = forward(weights, intercepts, X, activation)
    return np.average(loss(y, raw)[0].sum(axis=1), weights=sample_weight)


def machine(w, V, b, X):
    """Return the raw outputs of a factorization machine, and the sums of V x of every row and output.

    V is of shape (n_in, n_outputs * rank).
    """
    sums = (X @ V).reshape(len(X), w.shape[1], -1)
    squares = (X**2 @ V**2).reshape(sums.shape)
    return X @ w + b + (sums**2 - squares).sum(axis=2) / 2, sums


def of_factors(V, X, sums, gradient):
    """Return the gradient of a machine's factors: x_i (S - x_i v_i) for each row and output."""
    first = np.einsum("ri,ro,rok->iok", X, gradient, sums)
    own = (X**2).T @ gradient
    return (first - own[:, :, None] * V.reshape(first.shape)).reshape(V.shape)


def field_machine(fields):
    """Return what `machine` and `of_factors` are where factors depend on the other feature's field, pair by pair."""
    n_fields = max(fields) + 1

    def pairs(x, V):
        touched = np.flatnonzero(x)
        for i, j in combinations(touched, 2):
            yield i, j, V[i, :, fields[j]], V[j, :, fields[i]], x[i] * x[j]

    def raw(w, V, b, X):
        V = V.reshape(len(V), b.shape[1], n_fields, -1)
        products = [sum(((v * u).sum(axis=1) * xx for _, _, v, u, xx in pairs(x, V)), np.zeros(b.shape[1])) for x in X]
        return X @ w + b + np.array(products), None

    def of_factors(V, X, _, gradient):
        V = V.reshape(len(V), gradient.shape[1], n_fields, -1)
        total = np.zeros(V.shape)
        for x, delta in zip(X, gradient):
            for i, j, v, u, xx in pairs(x, V):
                total[i, :, fields[j]] += xx * delta[:, None] * u
                total[j, :, fields[i]] += xx * delta[:, None] * v
        return total.reshape(len(V), -1)

    return raw, of_factors


# ---- penalties -------------------------------------------------------------------------


class Penalty:
    """Strengths, centre and lower bound for an array of weights; all may be arrays."""

    def __init__(self, l1=0.0, l2=0.0, center=0.0, lower=-np.inf, orthogonal=0.0):
        self.l1, self.l2, self.center, self.lower, self.orthogonal = l1, l2, center, lower, orthogonal

    def proximal(self, w, size):
        u = w - self.center
        shrunk = np.maximum(0, abs(u) - size * self.l1) / (1 + size * self.l2)
        return np.maximum(self.lower, self.center + np.sign(u) * shrunk)

    def flow(self, w, time):
        u, l2 = w - self.center, np.asarray(self.l2, dtype=float)
        pull = np.where(l2 > 0, -np.expm1(-l2 * time) / np.where(l2 > 0, l2, 1), time)
        shrunk = np.maximum(0, abs(u) * np.exp(-l2 * time) - self.l1 * pull)
        return np.maximum(self.lower, self.center + np.sign(u) * shrunk)


# ---- optimizers: advance(w, g, touched, t) is step t, on every weight -------------------


class SGD:
    def __init__(self, rate, decay=0.0, power=0.0):
        self.rate, self.decay, self.power = rate, decay, power

    def start(self, w, penalty):
        self.penalty = penalty

    def advance(self, w, g, touched, t):
        rate = self.rate / (1 + self.decay * t) ** self.power
        return self.penalty.flow(w - rate * g, rate)


class AdaGrad:
    def __init__(self, rate, rowwise=False, epsilon=1e-8):
        self.rate, self.rowwise, self.epsilon = rate, rowwise, epsilon

    def start(self, w, penalty):
        self.penalty, self.sum, self.seen = penalty, np.full(w.shape, self.epsilon), np.zeros(w.shape, bool)

    def advance(self, w, g, touched, t):
        square = touched * (np.mean(g**2, axis=1, keepdims=True) if self.rowwise else g**2)
        self.seen |= square > 0
        self.sum += square
        size = self.seen * self.rate / np.sqrt(self.sum)
        return self.penalty.proximal(w - size * g, size)


class Adam:
    def __init__(self, rate, beta1=0.9, beta2=0.999, epsilon=1e-8, rowwise=False):
        self.rate, self.beta1, self.beta2, self.epsilon, self.rowwise = rate, beta1, beta2, epsilon, rowwise

    def start(self, w, penalty):
        self.penalty, self.m, self.v = penalty, np.zeros(w.shape), np.zeros(w.shape)
        self.touches = np.zeros((len(w), 1))

    def advance(self, w, g, touched, t):
        square = np.mean(g**2, axis=1, keepdims=True) if self.rowwise else g**2
        self.touches += touched
        self.m += touched * (1 - self.beta1) * (g - self.m)
        self.v += touched * (1 - self.beta2) * (square - self.v)
        n = np.maximum(self.touches, 1)
        size = (self.touches > 0) * self.rate / (np.sqrt(self.v / (1 - self.beta2**n)) + self.epsilon)
        return self.penalty.proximal(w - touched * size * self.m / (1 - self.beta1**n), size)


class FTRL:
    def __init__(self, rate, beta=1.0):
        self.rate, self.beta = rate, beta

    def start(self, w, penalty):
        self.penalty, self.z, self.n = penalty, -(w - penalty.center) * self.beta / self.rate, np.zeros(w.shape)

    def advance(self, w, g, touched, t):
        p, before = self.penalty, self.n
        self.n = before + g**2
        self.z = self.z + g - (np.sqrt(self.n) - np.sqrt(before)) / self.rate * (w - p.center)
        size = np.maximum(0, abs(self.z) - (t + 1) * p.l1)
        u = -np.sign(self.z) * size / ((self.beta + np.sqrt(self.n)) / self.rate + (t + 1) * p.l2)
        return np.maximum(p.lower, p.center + u)


# ---- training --------------------------------------------------------------------------


def batches(sample_weight, n_rows, batch_size):
    """Yield (rows, their scaled weights) of an epoch."""
    weight = np.ones(n_rows) if sample_weight is None else np.asarray(sample_weight, dtype=float)
    rows = np.flatnonzero(weight)
    weight = weight * len(rows) / weight.sum()
    for start in range(0, len(rows), batch_size):
        batch = rows[start : start + batch_size]
        yield batch, weight[batch]


def train(
    weights,
    intercepts,
    X,
    y,
    loss,
    make_optimizer,
    penalties,
    *,
    activation="identity",
    batch_size=1,
    n_epochs=1,
    sample_weight=None,
    average_from=None,
    forgets=False,
):
    """Return weights and intercepts (or their averages) after some epochs.

    `make_optimizer(is_output)` is called for each array; `penalties` has one Penalty a layer.
    """
    n_layers, step = len(weights), 0
    arrays = [np.array(a, dtype=float) for a in weights] + [np.array(b, dtype=float)[None, :] for b in intercepts]
    rules = [make_optimizer(k % n_layers == n_layers - 1) for k in range(2 * n_layers)]
    for rule, array, penalty in zip(rules, arrays, [*penalties, *[Penalty()] * n_layers]):
        rule.start(array, penalty)
    means = arrays
    for _ in range(n_epochs):
        if forgets and average_from < step >= 2 * average_from:
            average_from = step - max(1, (step - average_from) // 8)
        for rows, weight in batches(sample_weight, len(X), batch_size):
            W, b = arrays[:n_layers], [a[0] for a in arrays[n_layers:]]
            inputs, raw = forward(W, b, X[rows], activation)
            gradient = loss(y[rows], raw)[1] * weight[:, None] / len(rows)
            of_W, of_b = backward(W, b, inputs, gradient, activation)
            touched = [(a != 0).any(axis=0)[:, None] for a in inputs]
            for k, penalty in enumerate(penalties):
                if penalty.orthogonal:
                    of_W[k] = of_W[k] + penalty.orthogonal * W[k] @ (W[k].T @ W[k] - np.eye(W[k].shape[1]))
                    touched[k] = np.ones_like(touched[k])
            gradients = of_W + [g[None, :] for g in of_b]
            touched += [np.ones((1, 1), bool)] * n_layers
            arrays = [rule.advance(a, g, on, step) for rule, a, g, on in zip(rules, arrays, gradients, touched)]
            step += 1
            if average_from is not None and step > average_from:
                means = [m + (a - m) / (step - average_from) for m, a in zip(means, arrays)]
    result = means if average_from is not None and step > average_from else arrays
    return result[:n_layers], [a[0] for a in result[n_layers:]]


def train_machine(
    w, V, b, X, y, loss, make_optimizer, penalty, *, batch_size=1, n_epochs=1, average_from=None, kind=None
):
    """Return the weights, factors and intercepts of a factorization machine after some epochs, or their means.

    `make_optimizer(is_output)` is called for each of them; the penalty acts on weights and factors. `kind` is what
    `field_machine` returns, of machines with fields.
    """
    raw_of, gradient_of = (machine, of_factors) if kind is None else kind
    arrays, step = [np.array(a, dtype=float) for a in (w, V, np.reshape(b, (1, -1)))], 0
    rules = [make_optimizer(True), make_optimizer(False), make_optimizer(True)]
    for rule, array, own in zip(rules, arrays, [*penalty, Penalty()]):
        rule.start(array, own)
    means = arrays
    for _ in range(n_epochs):
        for rows, weight in batches(None, len(X), batch_size):
            raw, sums = raw_of(*arrays, X[rows])
            gradient = loss(y[rows], raw)[1] * weight[:, None] / len(rows)
            gradients = X[rows].T @ gradient, gradient_of(arrays[1], X[rows], sums, gradient), gradient.sum(0)[None, :]
            touched = (X[rows] != 0).any(axis=0)[:, None]
            on = touched, touched, np.ones((1, 1), bool)
            arrays = [rule.advance(a, g, at, step) for rule, a, g, at in zip(rules, arrays, gradients, on)]
            step += 1
            if average_from is not None and step > average_from:
                means = [m + (a - m) / (step - average_from) for m, a in zip(means, arrays)]
    return means if average_from is not None else arrays


def train_wide_and_deep(
    wide, weights, intercepts, X, y, loss, make_optimizer, penalties, *, activation, batch_size=1, n_epochs=1
):
    """Return (weights, intercepts) of the wide layer, and weights and intercepts of the deep ones, after some epochs.

    `make_optimizer` is as for `train`; `penalties` has one Penalty a layer, the first for the wide one.
    """
    n_layers, step = len(weights), 0
    arrays = [wide[0], *weights, *(np.reshape(b, (1, -1)) for b in (wide[1], *intercepts))]
    arrays = [np.array(a, dtype=float) for a in arrays]
    rules = [make_optimizer(k % (n_layers + 1) in (0, n_layers)) for k in range(len(arrays))]
    for rule, array, penalty in zip(rules, arrays, [*penalties, *[Penalty()] * (n_layers + 1)]):
        rule.start(array, penalty)
    for _ in range(n_epochs):
        for rows, _ in batches(None, len(X), batch_size):
            W, b = arrays[1 : n_layers + 1], [a[0] for a in arrays[n_layers + 2 :]]
            inputs, raw = forward(W, b, X[rows], activation)
            raw = raw + X[rows] @ arrays[0] + arrays[n_layers + 1]
            gradient = loss(y[rows], raw)[1] / len(rows)
            of_W, of_b = backward(W, b, inputs, gradient, activation)
            gradients = [X[rows].T @ gradient, *of_W, *(g[None, :] for g in (gradient.sum(axis=0), *of_b))]
            touched = [(a != 0).any(axis=0)[:, None] for a in (X[rows], *inputs)]
            touched += [np.ones((1, 1), bool)] * (n_layers + 1)
            arrays = [rule.advance(a, g, on, step) for rule, a, g, on in zip(rules, arrays, gradients, touched)]
            step += 1
    intercepts = [a[0] for a in arrays[n_layers + 1 :]]
    return (arrays[0], intercepts[0]), arrays[1 : n_layers + 1], intercepts[1:]


def assert_close(found, expected, tolerance):
    """Compare arrays with a share of the largest number of all that are expected."""
    atol = tolerance * max(np.abs(one).max() for one in expected)
    for mine, theirs in zip(found, expected):
        np.testing.assert_allclose(mine, theirs, rtol=tolerance, atol=atol)
