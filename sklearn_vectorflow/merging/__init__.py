"""States of models, to be sent between machines and merged after separate training."""

from sklearn_vectorflow.merging.merge import merge_states
from sklearn_vectorflow.merging.states import get_state, set_state

__all__ = ["get_state", "merge_states", "set_state"]
