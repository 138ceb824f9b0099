"""scikit-learn's own checks of estimators, on every kind of model we fit."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor

ESTIMATORS = [
    estimator(hidden_layer_sizes=sizes, n_jobs=n_jobs)
    for estimator in (VectorFlowClassifier, VectorFlowRegressor)
    for sizes in ((), (16,))
    for n_jobs in (1, 2)
]

# Many checks fit a few dozen rows of noise, or nets to columns around 100: what they end with, warnings say.
# They fail on warnings where they compare models or expect errors.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The fit ended worse"),
    pytest.mark.filterwarnings("ignore:Initial weights and steps of nets suit"),
]


@parametrize_with_checks(ESTIMATORS)
def test_scikit_learn_checks(estimator, check):
    check(estimator)
