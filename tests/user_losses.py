"""Losses as users write them, in Python and for numba."""

import numpy as np

from sklearn_vectorflow.losses import ClassificationLoss, QuantileLoss, RankingLoss, RegressionLoss


def squared_error(y, raw, sample_weight):
    error = raw - y
    return 0.5 * np.sum(sample_weight * error**2), sample_weight * error


class PinballPython(RegressionLoss):
    def __init__(self, quantile=0.5):
        self.quantile = quantile

    def __call__(self, y, raw, sample_weight=None):
        error = raw - y
        slope = np.where(error > 0, 1.0 - self.quantile, np.where(error < 0, -self.quantile, 0.0))
        slope = np.where(np.isnan(error), np.nan, slope)
        return np.sum(sample_weight * slope * error), sample_weight * slope

    initial_raw = QuantileLoss.initial_raw


class PinballNumba(RegressionLoss):
    def __init__(self, quantile=0.5):
        self.quantile = quantile

    def kernel_parameters(self):
        return np.array([self.quantile])

    @staticmethod
    def block(y, raw, weight, gradient, parameters):
        total, quantile = 0.0, parameters[0]
        for row in range(raw.shape[0]):
            for output in range(raw.shape[1]):
                error = raw[row, output] - y[row, output]
                slope = 1.0 - quantile if error > 0.0 else (-quantile if error < 0.0 else 0.0)
                total += weight[row] * (slope * error if error == error else error)
                gradient[row, output] = weight[row] * slope
        return total

    initial_raw = QuantileLoss.initial_raw


class TimesLoss(RegressionLoss):
    """y is (time, event), the raw output the logarithm of the hazard."""

    y_low = 0.0

    def n_outputs(self, n_targets):
        return 1

    def check_block(self, y, raw):
        assert y.shape[1] == 2

    def inverse_link(self, raw):
        return np.exp(-raw)


class ExponentialPython(TimesLoss):
    def __call__(self, y, raw, sample_weight=None):
        time, event = y.T
        expected = np.exp(raw) * time
        return np.sum(sample_weight * (expected - event * raw)), sample_weight * (expected - event)


class ExponentialNumba(TimesLoss):
    @staticmethod
    def block(y, raw, weight, gradient, parameters):
        total = 0.0
        for row in range(len(raw)):
            expected = np.exp(raw[row, 0]) * y[row, 0]
            total += weight[row] * (expected - y[row, 1] * raw[row, 0])
            gradient[row, 0] = weight[row] * (expected - y[row, 1])
        return total


class LogisticPython(ClassificationLoss):
    def __call__(self, y, raw, sample_weight=None):
        sign = 2 * y - 1
        return np.sum(sample_weight * np.logaddexp(0, -sign * raw)), -sample_weight * sign / (1 + np.exp(sign * raw))


def pairwise(y, raw, sample_weight, starts):
    """The mean over pairs of each group, as PairwiseLogistic."""
    total, gradient = 0.0, np.zeros_like(raw)
    for start, end in zip(starts[:-1], starts[1:]):
        better, worse = np.nonzero(y[start:end, None] > y[start:end])
        if len(better) == 0:
            continue
        better, worse = better + start, worse + start
        products = sample_weight[better] * sample_weight[worse]
        strength = sample_weight[start:end].mean() * products / products.sum()
        margin = raw[better] - raw[worse]
        total += np.sum(strength * np.logaddexp(0, -margin))
        slope = -strength / (1 + np.exp(margin))
        np.add.at(gradient, better, slope)
        np.add.at(gradient, worse, -slope)
    return total, gradient


class PairwiseNumba(RankingLoss):
    @staticmethod
    def block(y, raw, weight, starts, gradient, parameters):
        total = 0.0
        gradient[:] = 0.0
        for group in range(len(starts) - 1):
            pairs, mean = 0.0, weight[starts[group] : starts[group + 1]].mean()
            for i in range(starts[group], starts[group + 1]):
                for j in range(starts[group], starts[group + 1]):
                    if y[i, 0] > y[j, 0]:
                        pairs += weight[i] * weight[j]
            for i in range(starts[group], starts[group + 1]):
                for j in range(starts[group], starts[group + 1]):
                    if y[i, 0] > y[j, 0]:
                        strength = mean * weight[i] * weight[j] / pairs
                        margin = raw[i, 0] - raw[j, 0]
                        total += strength * np.log1p(np.exp(-margin))
                        gradient[i, 0] -= strength / (1 + np.exp(margin))
                        gradient[j, 0] += strength / (1 + np.exp(margin))
        return total


class TwoTasks(RegressionLoss):
    """Squared error of the first head, Poisson loss of the head "count", and a price of large hidden outputs."""

    reads = ("hidden", "count")

    def __init__(self, price=0.1):
        self.price = price

    def kernel_parameters(self):
        return np.array([self.price])


class TwoTasksPython(TwoTasks):
    def __call__(self, y, raw, sample_weight=None, nodes=None):
        hidden, count = nodes["hidden"], nodes["count"][:, 0]
        error, expected = raw[:, 0] - y[:, 0], np.exp(count)
        loss = 0.5 * error**2 + expected - y[:, 1] * count + self.price * np.sum(hidden**2, axis=1)
        gradient = np.zeros_like(raw)
        gradient[:, 0] = sample_weight * error
        of_nodes = {
            "count": (sample_weight * (expected - y[:, 1]))[:, None],
            "hidden": 2 * self.price * sample_weight[:, None] * hidden,
        }
        return np.sum(sample_weight * loss), gradient, of_nodes


class TwoTasksNumba(TwoTasks):
    @staticmethod
    def block(y, raw, weight, nodes, gradient, node_gradients, parameters):
        hidden, count = nodes
        total = 0.0
        for row in range(len(raw)):
            error, expected = raw[row, 0] - y[row, 0], np.exp(count[row, 0])
            loss = 0.5 * error**2 + expected - y[row, 1] * count[row, 0]
            gradient[row, 0] = weight[row] * error
            gradient[row, 1] = 0.0
            node_gradients[1][row, 0] = weight[row] * (expected - y[row, 1])
            for unit in range(hidden.shape[1]):
                loss += parameters[0] * hidden[row, unit] ** 2
                node_gradients[0][row, unit] = 2 * weight[row] * parameters[0] * hidden[row, unit]
            total += weight[row] * loss
        return total


class NearCentrePython(RegressionLoss):
    """Squared error, and squared distances of a group's embeddings from their mean."""

    coupled = True
    reads = ("hidden",)

    def __call__(self, y, raw, sample_weight=None, starts=None, nodes=None):
        hidden, error = nodes["hidden"], raw - y
        sizes = np.diff(starts)
        shared = np.minimum.reduceat(sample_weight, starts[:-1]).repeat(sizes)[:, None]
        away = hidden - (np.add.reduceat(hidden, starts[:-1]) / sizes[:, None]).repeat(sizes, axis=0)
        total = 0.5 * np.sum(sample_weight * error**2) + 0.5 * np.sum(shared * away**2)
        return total, sample_weight * error, {"hidden": shared * away}


class NearCentreNumba(RegressionLoss):
    coupled = True
    reads = ("hidden",)

    @staticmethod
    def block(y, raw, weight, starts, nodes, gradient, node_gradients, parameters):
        total, hidden = 0.0, nodes[0]
        for group in range(len(starts) - 1):
            rows = slice(starts[group], starts[group + 1])
            shared = weight[rows].min()
            for unit in range(hidden.shape[1]):
                away = hidden[rows, unit] - hidden[rows, unit].mean()
                total += 0.5 * shared * np.sum(away**2)
                node_gradients[0][rows, unit] = shared * away
            for row in range(starts[group], starts[group + 1]):
                error = raw[row, 0] - y[row, 0]
                total += 0.5 * weight[row] * error**2
                gradient[row, 0] = weight[row] * error
        return total
