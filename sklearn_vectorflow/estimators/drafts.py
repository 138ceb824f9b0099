"""Fitting of a copy of an estimator, which replaces the estimator when it is complete."""

from sklearn_vectorflow.threads import turn_of
from sklearn_vectorflow.validation.errors import restoring


class DraftMixin:
    """Fits a copy of an estimator (a draft), whose attributes then replace those of the estimator.

    An error or an interrupt leaves the estimator unchanged. Other threads see either the old or the new model as a
    whole.
    """

    @property
    def _turn(self):
        """The lock of writers to this estimator."""
        return turn_of(self)

    def _draft(self):
        """Return an estimator with the same attributes."""
        draft = object.__new__(type(self))
        vars(draft).update(vars(self))
        return draft

    def _become(self, draft, before):
        """Take over the attributes that a draft has changed, in one assignment."""
        after = vars(draft)
        kept = {name: value for name, value in vars(self).items() if name in after or name not in before}
        changed = {name: value for name, value in after.items() if name not in before or value is not before[name]}
        self.__dict__ = {**kept, **changed}

    def __getstate__(self):
        return dict(super().__getstate__())  # a copy, as a fit in another thread may add attributes at the same time

    def __setstate__(self, state):
        super().__setstate__(state)
        with restoring():
            self._check_restored()
