"""Search over parameters by fits that go on, for data on which a fit is dear.

:class:`VectorFlowSearchCV` trains all candidates for a few epochs, keeps the best, and goes on with those.
"""

from sklearn_vectorflow.search.halving import VectorFlowSearchCV

__all__ = ["VectorFlowSearchCV"]
