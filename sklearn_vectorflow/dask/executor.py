"""Tasks on a cluster of Dask."""

import contextlib
import pickle
import uuid
import weakref
from dataclasses import dataclass

import dask
import distributed
import numpy as np
from dask.highlevelgraph import HighLevelGraph, MaterializedLayer

from sklearn_vectorflow.validation.errors import warn

PATIENCE = 60  # seconds after which somebody should know that there are no workers


class Planned:
    """What stands for the result of a task; its future, once the task is sent.

    Parameters
    ----------
    key : str
        Of the task.
    """

    def __init__(self, key):
        self.key, self.future = key, None


class Cluster:
    """Runs tasks on a cluster.

    Every task can be run again wherever Dask likes: what it needs are results of tasks, or values that came with it.
    Tasks are sent many at a time, as each graph costs the scheduler about as much as a task does. A result for which
    nothing here stands any more when its task is sent is the tasks' own: Dask lets go of it when the last has had it.

    Use it in a ``with`` statement: if that ends with an error, workers let go of all that was computed for it. A client
    keeps errors of tasks, these their tracebacks, and those all that stands for results.

    Parameters
    ----------
    client : distributed.Client or None
        None is the one at hand.
    """

    def __init__(self, client):
        self.client = client_of(client)
        self._layers, self._planned = {}, weakref.WeakValueDictionary()  # not sent yet
        self._addresses = {}  # of workers, by their numbers
        self._futures = weakref.WeakValueDictionary()  # that were made here: those of users are not

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if kind is None:
            return
        self._layers.clear()
        for future in list(self._futures.values()):
            with contextlib.suppress(RuntimeError):  # the client's loop has ended
                future.release()

    @property
    def n_workers(self):
        """Workers there are now; who asks may not let it show in the bits."""
        return max(1, len(self.client.ncores()))

    def submit(self, function, *arguments):
        """Return what stands for the result of a task."""
        return self.apart(None, function, *arguments)

    def apart(self, k, function, *arguments):
        """Return what stands for the result of a task that runs on the k-th of the workers, if that is there."""
        return self._planned_in((k, 0), function, arguments)

    def soon(self, k, function, *arguments):
        """Return the same of a short task, which goes before those that are sent with it, for others wait for it."""
        return self._planned_in((k, 1), function, arguments)

    def _planned_in(self, layer, function, arguments):
        planned = Planned(_key_of(function))
        tasks = self._layers.setdefault(layer, {})
        tasks[planned.key] = (function, *(_written(one) for one in arguments))
        self._planned[planned.key] = planned
        return planned

    def send(self):
        """Let the tasks run that were submitted: those sent before go first."""
        layers, self._layers = self._layers, {}
        wanted = [self._planned[key] for tasks in layers.values() for key in tasks if key in self._planned]
        if not wanted:
            return
        self._planned.clear()
        near = self._near({k: None for k, _ in layers})
        layers = {
            f"tasks-{uuid.uuid4().hex}": MaterializedLayer(own, {**near[k], "priority": priority})
            for (k, priority), own in layers.items()
        }
        graph = HighLevelGraph(layers, {name: set() for name in layers})
        futures = self.client.get(graph, [one.key for one in wanted], sync=False, fifo_timeout=0)
        for one, future in zip(wanted, futures):
            one.future = self._own(future)

    def _own(self, future):
        self._futures[id(future)] = future
        return future

    def _near(self, numbers):
        """Return what tells Dask which worker should have tasks, but does not bind it: for each of some numbers."""
        workers = sorted(self.client.ncores()) if any(k is not None for k in numbers) else []
        near = dict.fromkeys(numbers, {})
        for k in near if workers else ():
            if k is None:
                continue
            if self._addresses.get(k) not in workers:
                self._addresses[k] = min(workers, key=list(self._addresses.values()).count)
            near[k] = {"workers": [self._addresses[k]], "allow_other_workers": True}
        return near

    def constant(self, value, k=None):
        """Return the future of a value, which comes with the task and so can be given again."""
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TB"}):
            near = self._near([k])[k]
            return self._own(
                self.client.submit(_unpickled, _pickled(value), key=_key_of(_unpickled), pure=False, **near)
            )

    def result(self, values):
        """Return the values of what stands for them in any nesting of lists; an error of one is raised here."""
        self.send()
        futures, told = _futures(values), False
        while not told:
            try:
                with self.client.as_current():  # else it is the default one that waits, if there is one
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
        begun = map(self._own, self.client.compute(waiting))
        return [one if isinstance(one, distributed.Future) else next(begun) for one in delayed]


def _key_of(function):
    return f"{function.__name__.strip('_')}-{uuid.uuid4().hex}"


def _written(argument):
    """Return an argument as it stands in a graph, where lists may have some that stand for results."""
    if isinstance(argument, list):
        return [_written(one) for one in argument]
    if isinstance(argument, Planned):
        return argument.key if argument.future is None else argument.future
    return argument


def future_of(value):
    """Return the future of what stands for a result; any other value as it is."""
    return value.future if isinstance(value, Planned) else value


def _futures(values):
    return [_futures(one) for one in values] if isinstance(values, list) else future_of(values)


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
