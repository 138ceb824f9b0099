"""Times of passes over the rows, without the rest of a `fit`."""

import time

from sklearn_vectorflow.training.trainer import Trainer


class Stopwatch:
    """Measures passes over the rows.

    Parameters
    ----------
    clock : callable
        Returns seconds.

    Attributes
    ----------
    seconds : list of float
        Of each pass that ended while the watch was on.
    """

    def __init__(self, clock=time.perf_counter):
        self.clock = clock

    def __enter__(self):
        self.seconds, self._epoch = [], Trainer.epoch

        def timed(trainer):
            begun = self.clock()
            loss = self._epoch(trainer)
            self.seconds.append(self.clock() - begun)
            return loss

        Trainer.epoch = timed
        return self

    def __exit__(self, *error):
        Trainer.epoch = self._epoch
