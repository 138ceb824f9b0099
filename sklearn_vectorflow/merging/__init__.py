"""States of models, which travel between machines, and merging those that were trained apart."""

from sklearn_vectorflow.merging.merge import merge_states
from sklearn_vectorflow.merging.states import get_state, set_state

__all__ = ["get_state", "merge_states", "set_state"]
