"""What the driver asks of a model, and the cases it is run on."""

from collections.abc import Callable
from dataclasses import dataclass, field

N_FIELDS = 4  # which the columns of field-aware machines go round among


@dataclass(frozen=True)
class Case:
    """Rows to learn and how low the loss of test rows is to get.

    Parameters
    ----------
    workload : str
        "text", "ctr" (log loss of two classes) or "surv1m" (negative log-likelihood of
        exponential times; y is a tuple (event, time)).
    hidden : tuple of int
        Hidden units; () is a model without them.
    targets : tuple of float
    kind : str, default=""
        What the model is, where its hidden units do not tell.
    n_classes : int, default=2
    """

    workload: str
    hidden: tuple
    targets: tuple
    kind: str = ""
    n_classes: int = 2

    @property
    def survival(self):
        return self.workload == "surv1m"


@dataclass
class Point:
    """A model after some epochs.

    Parameters
    ----------
    epochs : float
    training : float
        Seconds in the call that trains, from the first row on.
    whole : float
        The same and what the package needs beforehand: other formats, files, empty models.
    predict : callable
        Of X; returns probabilities, of the second class alone if there are two, or log hazards.
    """

    epochs: float
    training: float
    whole: float
    predict: Callable


def probabilities(case, model, X):
    """Return those that an estimator predicts, as a point has them."""
    found = model.predict_proba(X)
    return found[:, 1] if case.n_classes == 2 else found


@dataclass(frozen=True)
class Model:
    """A model of a package.

    Parameters
    ----------
    name : str
    package : str
        What is imported; the model is left out where it is missing.
    params : dict of dict
        Its parameters for every case it is run on, by the name of the case.
    path : callable
        Of (case, params, train, threads); yields a Point after every epoch or more.
    """

    name: str
    package: str
    path: Callable = field(repr=False)
    params: dict = field(repr=False)
