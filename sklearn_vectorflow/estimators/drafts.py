"""Fitting an estimator aside: others see it as it was until all is done."""

from sklearn_vectorflow.threads import turn_of
from sklearn_vectorflow.validation.errors import restoring


class DraftMixin:
    """Lets an estimator be fitted as a draft of it, which then takes its place.

    An error or an interrupt leaves the estimator as it was, and threads that predict meanwhile
    see either all of the old model or all of the new one.
    """

    @property
    def _turn(self):
        """The turn of who writes to this estimator."""
        return turn_of(self)

    def _draft(self):
        """Return an estimator with the same attributes."""
        draft = object.__new__(type(self))
        vars(draft).update(vars(self))
        return draft

    def _become(self, draft, before):
        """Take over what differs in a draft from the attributes before, in one assignment."""
        after = vars(draft)
        kept = {name: value for name, value in vars(self).items() if name in after or name not in before}
        changed = {name: value for name, value in after.items() if name not in before or value is not before[name]}
        self.__dict__ = {**kept, **changed}

    def __getstate__(self):
        return dict(super().__getstate__())  # a copy: a fit in another thread may add to the attributes meanwhile

    def __setstate__(self, state):
        super().__setstate__(state)
        with restoring():
            self._check_restored()
