"""The types that a saved model may hold, under the names that files know them by."""

from sklearn_vectorflow import layers, losses, optimizers, penalties, preprocessing
from sklearn_vectorflow.defaults.scales import Scales
from sklearn_vectorflow.layers import Layer, Node
from sklearn_vectorflow.losses import Loss
from sklearn_vectorflow.network.graph import Graph
from sklearn_vectorflow.network.network import Network
from sklearn_vectorflow.network.records import Layout, LinearParameters, OutputParameters
from sklearn_vectorflow.network.rules import Rule
from sklearn_vectorflow.network.state import State
from sklearn_vectorflow.optimizers import Optimizer
from sklearn_vectorflow.penalties import Penalty
from sklearn_vectorflow.preprocessing.encoding.learned import Learned, Moments
from sklearn_vectorflow.preprocessing.encoding.names import FeatureNames
from sklearn_vectorflow.targets.units import TargetUnits
from sklearn_vectorflow.training.first_rows import FirstRows

_FITTED = (Graph, Layout, LinearParameters, Network, OutputParameters, Rule, Scales, State, TargetUnits, FirstRows)
_OBJECTS = ((layers, (Layer, Node)), (losses, Loss), (optimizers, Optimizer), (penalties, Penalty))


def name_of(kind):
    """Return the name of a type of the package: its room and its own name, wherever in the room it lies."""
    return f"{kind.__module__.split('.')[1]}.{kind.__name__}"


def objects_of(room, base):
    """Return the public types of a room that derive from others."""
    return [kind for kind in vars(room).values() if isinstance(kind, type) and issubclass(kind, base)]


OF_MODELS = {name_of(kind): kind for kind in _FITTED}
OF_MODELS.update({name_of(kind): kind for room, base in _OBJECTS for kind in objects_of(room, base)})
OF_TRANSFORMERS = {name_of(kind): kind for kind in (Learned, Moments, FeatureNames, *objects_of(preprocessing, object))}


def trusted_by_name(trusted):
    """Return users' classes and functions by the names that files know them by.

    Raises
    ------
    TypeError, ValueError
        If one has no name, or two have the same.
    """
    found = {}
    for one in trusted:
        if not callable(one) or not hasattr(one, "__qualname__"):
            raise TypeError(f"trusted must hold classes and functions, got {one!r}.")
        name = f"{one.__module__}:{one.__qualname__}"
        if found.setdefault(name, one) is not one:
            raise ValueError(f"trusted has two objects named {name}.")
    return found
