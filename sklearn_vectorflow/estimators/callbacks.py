"""scikit-learn's callbacks where it has them (1.9 and newer), else nothing in their place."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

Method = TypeVar("Method", bound=Callable[..., Any])


class _NoCallbacks:
    """Stands in for scikit-learn's mixin: there are no callbacks to call."""


def _as_it_is(method: Method) -> Method:
    """Return the method as it is."""
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
    """The task tree of a fit: one task for the fit, one below it for each epoch.

    Parameters
    ----------
    estimator : estimator
    max_iter : int
    data : dict
        X, y and metadata that hooks may ask for.
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
        """Whether any callback listens."""
        return self.root is not None and hasattr(self.estimator, "_skl_callbacks")

    def begin_epoch(self):
        """Return the epoch's task, or None if nobody listens."""
        if not self.watched:
            return None
        epoch = self.root.subcontext(task_name="epoch")
        epoch.call_on_fit_task_begin(estimator=self.estimator, **self.data)
        return epoch

    def end_epoch(self, epoch, attributes):
        """Tell that an epoch is over; return whether a callback wants to stop.

        Parameters
        ----------
        epoch : object
            What `begin_epoch` returned.
        attributes : callable
            Returns the attributes of an estimator fitted up to here.
        """
        if epoch is None:
            return False
        return epoch.call_on_fit_task_end(estimator=self.estimator, reconstruction_attributes=attributes, **self.data)

    def end(self, attributes):
        """Tell that the fit is over."""
        if self.root is not None:
            self.root.call_on_fit_task_end(estimator=self.estimator, reconstruction_attributes=attributes, **self.data)
