"""Times of passes over the rows, without the rest of a `fit`."""

import time

from sklearn_vectorflow.training.trainer import Trainer


class Stopwatch:
    """Measures passes over the rows.

    Attributes
    ----------
    seconds : list of float
        Of each pass that ended while the watch was on.
    """

    def __enter__(self):
        self.seconds, self._epoch = [], Trainer.epoch

        def timed(trainer):
            begun = time.perf_counter()
            loss = self._epoch(trainer)
            self.seconds.append(time.perf_counter() - begun)
            return loss

        Trainer.epoch = timed
        return self

    def __exit__(self, *error):
        Trainer.epoch = self._epoch
