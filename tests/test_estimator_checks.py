"""scikit-learn's own checks of estimators, on every kind of model we fit."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor

ESTIMATORS = [
    estimator(hidden_layer_sizes=sizes, n_jobs=n_jobs)
    for estimator in (VectorFlowClassifier, VectorFlowRegressor)
    for sizes in ((), (16,))
    for n_jobs in (1, 2)
]


@parametrize_with_checks(ESTIMATORS)
def test_scikit_learn_checks(estimator, check):
    check(estimator)
