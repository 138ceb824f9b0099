"""Tasks on a cluster of Dask."""

import contextlib
import pickle
import uuid
from dataclasses import dataclass

import dask
import distributed
import numpy as np

from sklearn_vectorflow.validation.errors import warn

PATIENCE = 60  # seconds after which somebody should know that there are no workers


class Cluster:
    """Runs tasks on a cluster.

    Every task can be run again wherever Dask likes: what it needs are results of tasks, or values that came with it.

    Parameters
    ----------
    client : distributed.Client or None
        None is the one at hand.
    """

    def __init__(self, client):
        self.client = client_of(client)

    @property
    def n_workers(self):
        """Workers there are now; who asks may not let it show in the bits."""
        return max(1, len(self.client.ncores()))

    def submit(self, function, *arguments):
        """Return the future of a task."""
        key = f"{function.__name__.strip('_')}-{uuid.uuid4().hex}"
        return self.client.submit(function, *arguments, key=key, pure=False)

    def constant(self, value):
        """Return the future of a value, which comes with the task and so can be given again."""
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TB"}):
            return self.submit(_unpickled, _pickled(value))

    def result(self, futures):
        """Return the values of futures in any nesting of lists; an error of one is raised here."""
        told = False
        while not told:
            try:
                distributed.wait(list(_flat(futures)), timeout=PATIENCE)
                break
            except TimeoutError:
                told = not self.client.scheduler_info()["workers"]
                if told:
                    warn("The cluster has no workers: the fit goes on when it has some.")
        return self.client.gather(futures)

    def started(self, delayed):
        """Return futures of delayed values; futures stay what they are."""
        waiting = [one for one in delayed if not isinstance(one, distributed.Future)]
        begun = iter(self.client.compute(waiting))
        return [one if isinstance(one, distributed.Future) else next(begun) for one in delayed]


def _flat(futures):
    if not isinstance(futures, list):
        yield futures
        return
    for one in futures:
        yield from _flat(one)


@dataclass(frozen=True, eq=False)
class _Pickled:
    """A value as it travels: Dask sends its arrays from where they are, and tasks read them where they arrive.

    Parameters
    ----------
    header : bytes
        All of the pickle but its arrays.
    arrays : list of ndarray of uint8
    """

    header: bytes
    arrays: list


def _pickled(value):
    """Return what a value travels as; who gives it must not write to its arrays any more."""
    buffers = []
    try:
        header = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    except Exception:  # functions of users, which Dask pickles by value
        return value
    return _Pickled(header, [np.frombuffer(one.raw(), dtype=np.uint8) for one in buffers])


def _unpickled(value):
    return pickle.loads(value.header, buffers=value.arrays) if isinstance(value, _Pickled) else value


def client_of(client):
    """Return a client: the one given, or the one at hand.

    Raises
    ------
    TypeError, ValueError
        If it is none, or runs asynchronously, or there is none.
    """
    if client is None:
        try:
            client = distributed.get_client()
        except ValueError as error:
            raise ValueError(
                "There is no Dask client: start one, such as distributed.Client(), or give client=."
            ) from error
    if not isinstance(client, distributed.Client):
        raise TypeError(f"client must be None or a distributed.Client, got {type(client).__name__}.")
    if client.asynchronous:
        raise TypeError("client must not be asynchronous: fit waits for its tasks.")
    return client


@contextlib.contextmanager
def stepping_aside():
    """Give the thread of the task back that this runs in, if it runs in one: it waits for other tasks."""
    try:
        distributed.get_worker()
        distributed.secede()
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        distributed.rejoin()
