"""Support for callbacks of scikit-learn 1.9 and newer; older versions have none."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

Method = TypeVar("Method", bound=Callable[..., Any])


class _NoCallbacks:
    """Replacement of scikit-learn's mixin, without callbacks."""


def _as_it_is(method: Method) -> Method:
    """Return the method unchanged."""
    return method


if TYPE_CHECKING:  # scikit-learn has no types: its decorator would hide those of the methods

    class CallbackSupportMixin(_NoCallbacks): ...

    def with_callbacks(method: Method) -> Method: ...

else:
    try:
        from sklearn.callback import CallbackSupportMixin, with_callbacks
    except ImportError:  # scikit-learn < 1.9
        CallbackSupportMixin, with_callbacks = _NoCallbacks, _as_it_is


class FitTask:
    """The task tree of a fit: one task for the fit, and one subtask for each epoch.

    Parameters
    ----------
    estimator : estimator
    max_iter : int
    data : dict
        X, y and metadata for the hooks of callbacks.
    """

    def __init__(self, estimator, max_iter, data):
        self.estimator = estimator
        self.data = data
        self.root = None
        if hasattr(estimator, "_init_callback_context"):
            self.root = estimator._init_callback_context(max_subtasks=max_iter)
            self.root.call_on_fit_task_begin(estimator=estimator, **data)

    @property
    def watched(self):
        """Whether there are callbacks."""
        return self.root is not None and hasattr(self.estimator, "_skl_callbacks")

    def begin_epoch(self):
        """Return the task of the epoch, or None without callbacks."""
        if not self.watched:
            return None
        epoch = self.root.subcontext(task_name="epoch")
        epoch.call_on_fit_task_begin(estimator=self.estimator, **self.data)
        return epoch

    def end_epoch(self, epoch, attributes):
        """End the task of an epoch; return whether a callback asks to stop.

        Parameters
        ----------
        epoch : object
            Result of `begin_epoch`.
        attributes : callable
            Function that returns the attributes of the estimator after this epoch.
        """
        if epoch is None:
            return False
        return epoch.call_on_fit_task_end(estimator=self.estimator, reconstruction_attributes=attributes, **self.data)

    def end(self, attributes):
        """End the task of the fit."""
        if self.root is not None:
            self.root.call_on_fit_task_end(estimator=self.estimator, reconstruction_attributes=attributes, **self.data)
