"""Bad input is an error that names it, and an error leaves the estimator as it was."""

import copy
import signal
import threading
import time

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone

from sklearn_vectorflow import VectorFlowClassifier, VectorFlowRegressor, threads
from sklearn_vectorflow.losses import HuberLoss, LogLoss, QuantileLoss, SquaredError, TweedieLoss
from sklearn_vectorflow.optimizers import FTRL, SGD, AdaGrad, Adam
from sklearn_vectorflow.penalties import L1, L2, ElasticNet, NonNegative, Orthogonal
from sklearn_vectorflow.threads import Crew
from sklearn_vectorflow.training.trainer import Trainer

N_ROWS, N_FEATURES = 100, 20
X = sparse.random(N_ROWS, N_FEATURES, 0.3, format="csr", random_state=0, dtype=np.float32)
ROW_SUMS = np.asarray(X.sum(axis=1)).ravel().astype(np.float64)
LABELS = (ROW_SUMS > np.median(ROW_SUMS)).astype(int)
ONES = np.ones(N_ROWS)
INDICATOR = np.eye(3, dtype=int)[np.arange(N_ROWS) % 3]
BIG_ROWS = 200_000

CLASSIFIER = VectorFlowClassifier(max_iter=2, random_state=0)
REGRESSOR = VectorFlowRegressor(max_iter=2, random_state=0)
TARGETS = {VectorFlowClassifier: LABELS, VectorFlowRegressor: ROW_SUMS}
ALL_WAYS = ("fit", "warm_start", "partial_fit")
LATER = ("warm_start", "partial_fit")
FITS = ("fit", "warm_start")


def broken(matrix=X, **attributes):
    """A sparse matrix with attributes set behind the back of its constructor."""
    matrix = matrix.copy()
    for name, value in attributes.items():
        setattr(matrix, name, value)
    return matrix


def with_value(value, dtype=np.float64, form=sparse.csr_matrix):
    dense = X.toarray().astype(dtype)
    dense[50, 3] = value
    return form(dense)


def with_entry(values, value):
    values = np.array(values, dtype=np.float64)
    values[50] = value
    return values


class Case:
    """Parameters or data that are wrong, and what the message must say."""

    def __init__(self, name, match, model=CLASSIFIER, ways=ALL_WAYS, data=None, **params):
        self.name, self.match, self.model, self.ways = name, match, model, ways
        self.data = data or {}
        self.params = params


def data(name, match, model=CLASSIFIER, ways=ALL_WAYS, params=None, **values):
    return Case(name, match, model, ways, data=values, **(params or {}))


NOT_FINITE = r"X contains NaN, infinity or a value too large for float32 \(in row 50 of X\)"
OUTSIDE = r"column index is outside \[0, n_features\) = 20 \(in row \d+ of X\)"

CASES = [
    # ---- values of X
    data("nan, CSR float64", NOT_FINITE, X=with_value(np.nan)),
    data("nan, CSR float32", NOT_FINITE, X=with_value(np.nan, np.float32)),
    data("inf, CSR", NOT_FINITE, X=with_value(np.inf)),
    data("-inf, CSR", NOT_FINITE, X=with_value(-np.inf)),
    data("beyond float32, CSR", NOT_FINITE, X=with_value(3.5e38)),
    data("nan, dense float64", NOT_FINITE, X=with_value(np.nan, form=np.array)),
    data("nan, dense float32", NOT_FINITE, X=with_value(np.nan, np.float32, np.array)),
    data("inf, dense", NOT_FINITE, X=with_value(np.inf, form=np.array)),
    data("beyond float32, dense", NOT_FINITE, X=with_value(-3.5e38, form=np.array)),
    data("nan, CSC", NOT_FINITE, X=with_value(np.nan, form=sparse.csc_matrix)),
    data("complex, CSR", "X must be real", X=X.astype(complex)),
    data("objects, CSR", "X must be numeric, got dtype object", X=broken(data=X.data.astype(object))),
    data("strings, dense", "could not convert string to float", X=np.full((N_ROWS, N_FEATURES), "a")),
    # ---- shape of X
    data("no rows, CSR", r"0 sample\(s\) \(shape=\(0, 20\)\)", X=X[:0], y=LABELS[:0]),
    data("no columns, CSR", r"0 feature\(s\) \(shape=\(100, 0\)\)", X=X[:, :0], ways=("fit",)),
    data("no rows, dense", r"0 sample\(s\)", X=X[:0].toarray(), y=LABELS[:0]),
    data("no columns, dense", r"0 feature\(s\)", X=np.ones((N_ROWS, 0)), ways=("fit",)),
    data("one dimension", "Expected 2D array, got 1D array", X=np.ones(N_ROWS)),
    data("three dimensions", "Found array with dim 3", X=np.ones((N_ROWS, 2, 2))),
    data("three dimensions, COO", "X must have two dimensions", X=sparse.coo_array(np.ones((N_ROWS, 2, 2)))),
    data("None", "Expected 2D array, got scalar", X=None),
    data("2**31 columns", r"2\*\*31 - 1 features, got 2147483648", X=sparse.csr_matrix((N_ROWS, 2**31)), ways=("fit",)),
    data("fewer columns", "X has 5 features, but VectorFlowClassifier is expecting 20", X=X[:, :5], ways=LATER),
    data("more columns", "X has 40 features", X=sparse.hstack([X, X]), ways=LATER),
    data("fewer columns in predict", "X has 5 features", X=X[:, :5], ways=("predict",)),
    data("fewer dense columns in predict", "X has 5 features", X=X[:, :5].toarray(), ways=("predict",)),
    data("nan in predict", NOT_FINITE, X=with_value(np.nan), ways=("predict",)),
    # ---- sparse matrices made by hand
    data("index = n_features", OUTSIDE, X=broken(indices=X.indices + 1)),
    data("index out of range", OUTSIDE, X=broken(indices=X.indices + 1_000_000)),
    data("index out of range, int64", OUTSIDE, X=broken(indices=X.indices.astype(np.int64) + 2**32)),
    data("negative index", OUTSIDE, X=broken(indices=X.indices - 1)),
    data("index out of range in predict", OUTSIDE, X=broken(indices=X.indices + 1_000_000), ways=("predict",)),
    data("float indices", "X.indices must be integers, got float64", X=broken(indices=X.indices.astype(float))),
    data("indptr backwards", "indptr", X=broken(indptr=X.indptr[::-1].copy())),
    data("indptr with a step back", "indptr decreases", X=broken(indptr=np.where(np.arange(101) == 50, 0, X.indptr))),
    data("indptr beyond the indices", "indptr", X=broken(indptr=X.indptr * 2)),
    data("indptr too short", r"X.indptr must have n_rows \+ 1 = 101 entries, got 100", X=broken(indptr=X.indptr[:-1])),
    data("indptr too long", "entries, got 102", X=broken(indptr=np.append(X.indptr, X.indptr[-1]))),
    data("indptr empty", "entries, got 0", X=broken(indptr=X.indptr[:0])),
    data("indptr begins below zero", "X.indptr must start at 0, got -1", X=broken(indptr=X.indptr - 1)),
    data("float indptr", "X.indptr must be integers", X=broken(indptr=X.indptr.astype(float))),
    data("data shorter than indices", "X.data has 597 entries but X.indices has 600", X=broken(data=X.data[:-3])),
    data("indices shorter than data", "indptr", X=broken(indices=X.indices[:-3])),
    data("data of two dimensions", "one dimension", X=broken(data=X.data[None])),
    data(
        "CSC with a row out of range",
        "X is a malformed csc matrix",
        X=broken(X.tocsc(), indices=X.tocsc().indices + 10**6),
    ),
    data("COO with a row out of range", "X is a malformed coo matrix", X=broken(X.tocoo(), row=X.tocoo().row + 10**8)),
    data("COO with a negative column", "X is a malformed coo matrix", X=broken(X.tocoo(), col=X.tocoo().col - 1)),
    data(
        "BSR with a block out of range",
        "X is a malformed bsr matrix",
        X=broken(X.tobsr(), indices=X.tobsr().indices + 10**6),
    ),
    # ---- targets
    data("y None", "requires y to be passed", y=None),
    data("y too short", "inconsistent numbers of samples: X has 100, y has 99", y=LABELS[:-1]),
    data("y too short, regression", "X has 100, y has 99", REGRESSOR, y=ROW_SUMS[:-1]),
    data("y nan, classes", "y contains NaN", y=with_entry(LABELS, np.nan), ways=("fit",)),
    data("y nan, known classes", r"y has classes array\(\[nan\]\)", y=with_entry(LABELS, np.nan), ways=LATER),
    data("y nan, regression", "y contains NaN", REGRESSOR, y=with_entry(ROW_SUMS, np.nan)),
    data("y inf, regression", "y contains infinity", REGRESSOR, y=with_entry(ROW_SUMS, np.inf)),
    data(
        "y too large, regression",
        "y has values too large for float32, up to 1e[+]300",
        REGRESSOR,
        y=with_entry(ROW_SUMS, 1e300),
    ),
    data("y strings, regression", "y: could not convert string to float", REGRESSOR, y=["a"] * N_ROWS),
    data("y scalar", "got scalar", REGRESSOR, y=5.0),
    data("y of three dimensions", "y: Found array with dim 3", REGRESSOR, y=np.ones((N_ROWS, 2, 2))),
    data("y sparse, regression", "Sparse data was passed for y", REGRESSOR, y=sparse.csr_matrix(np.ones((N_ROWS, 2)))),
    data(
        "y of another width",
        r"y must have 1 target\(s\) as before, got 2",
        REGRESSOR,
        y=np.ones((N_ROWS, 2)),
        ways=LATER,
    ),
    data("y continuous", "Unknown label type: continuous", y=ROW_SUMS, ways=("fit",)),
    data("y of one class", "y must have at least two classes, got one class: 7", y=np.full(N_ROWS, 7), ways=("fit",)),
    data(
        "y of a new class",
        r"y has classes array\(\[2\]\), which are not among array\(\[0, 1\]\)",
        y=with_entry(LABELS, 2).astype(int),
        ways=LATER,
    ),
    data("y of other types", "which are not among", y=LABELS.astype(str), ways=LATER),
    data(
        "y labels in place of classes",
        "y must be an indicator matrix of labels if and only if it was one",
        y=INDICATOR,
        ways=LATER,
    ),
    data("y of three classes in three columns", "1d array", y=np.tile([0, 1, 2], (N_ROWS, 1)), ways=("fit",)),
    data("labels of another number", "X has 100, y has 99", y=sparse.csr_matrix(INDICATOR[:-1]), ways=("fit",)),
    data("labels that are not 0 and 1", "values 0 and 1 only", y=sparse.csr_matrix(2 * INDICATOR), ways=("fit",)),
    data(
        "labels out of range",
        "y is a malformed csr matrix",
        ways=("fit",),
        y=broken(sparse.csr_matrix(INDICATOR), indices=np.full(N_ROWS, 10**7, np.int32)),
    ),
    data(
        "labels, negative",
        "y is a malformed csr matrix",
        ways=("fit",),
        y=broken(sparse.csr_matrix(INDICATOR), indices=np.full(N_ROWS, -10, np.int32)),
    ),
    data(
        "labels for a loss of one class",
        "'multinomial' takes one class per row",
        y=INDICATOR,
        ways=("fit",),
        params={"loss": "multinomial"},
    ),
    data(
        "poisson",
        r"y must be >= 0 for loss PoissonLoss, got -1",
        REGRESSOR,
        y=with_entry(ROW_SUMS, -1),
        params={"loss": "poisson"},
    ),
    data(
        "gamma",
        "y must be > 0 for loss GammaLoss, got 0",
        REGRESSOR,
        y=with_entry(ROW_SUMS, 0),
        params={"loss": "gamma"},
    ),
    data(
        "tweedie 1.5",
        "y must be >= 0 for loss TweedieLoss, got -0.1",
        REGRESSOR,
        y=with_entry(ROW_SUMS, -0.1),
        params={"loss": "tweedie"},
    ),
    data(
        "tweedie 3",
        "y must be > 0 for loss TweedieLoss, got 0",
        REGRESSOR,
        y=with_entry(ROW_SUMS, 0),
        params={"loss": TweedieLoss(3)},
    ),
    # ---- weights
    data("weight nan", "sample_weight contains NaN or infinity", sample_weight=with_entry(ONES, np.nan)),
    data("weight inf", "sample_weight contains NaN or infinity", sample_weight=with_entry(ONES, np.inf)),
    data("weight negative", "sample_weight must not be negative, got -1", sample_weight=with_entry(ONES, -1)),
    data("weights all zero", "sample_weight .* all weights are zero", sample_weight=0 * ONES),
    data("weights too large", "sample_weight is too large", sample_weight=1e308 * ONES),
    data("weights too few", r"sample_weight.shape == \(99,\), expected \(100,\)", sample_weight=ONES[:-1]),
    data("weights of two dimensions", r"sample_weight.shape == \(100, 1\)", sample_weight=ONES[:, None]),
    data("weights strings", "sample_weight must be numbers", sample_weight=["a"] * N_ROWS),
    data("weights complex", "sample_weight must be real", sample_weight=1j * ONES),
    data(
        "weight times class weight",
        "sample_weight times class_weight .* all weights are zero",
        sample_weight=(LABELS == 0).astype(float),
        params={"class_weight": {0: 0.0}},
    ),
    # ---- validation rows
    data("X_val alone", "X_val was given without y_val", X_val=X, ways=FITS),
    data("y_val alone", "y_val and sample_weight_val need X_val", y_val=LABELS, ways=FITS),
    data("sample_weight_val alone", "need X_val", sample_weight_val=ONES, ways=FITS),
    data("X_val of another width", "X_val: X has 5 features", X_val=X[:, :5], y_val=LABELS, ways=FITS),
    data("X_val nan", "X_val: X contains NaN", X_val=with_value(np.nan), y_val=LABELS, ways=FITS),
    data("y_val too short", "y_val: .* y has 99", X_val=X, y_val=LABELS[:-1], ways=FITS),
    data("y_val of a new class", "y_val: y has classes", X_val=X, y_val=LABELS + 1, ways=FITS),
    data(
        "sample_weight_val negative",
        "sample_weight_val must not be negative",
        X_val=X,
        y_val=LABELS,
        sample_weight_val=-ONES,
        ways=FITS,
    ),
    data(
        "too small a share for validation",
        "validation_fraction=0.001 does not split",
        ways=FITS,
        params={"early_stopping": True, "validation_fraction": 0.001},
    ),
    data(
        "too large a share for validation",
        "validation_fraction=0.999 does not split",
        ways=FITS,
        params={"early_stopping": True, "validation_fraction": 0.999},
    ),
    # ---- names and objects
    Case("loss unknown", "loss must be one of .*'log_loss'.*, got 'deviance'", loss="deviance"),
    Case("loss of regression", r"loss must be one of .* got SquaredError\(\)", loss=SquaredError()),
    Case("loss of classification", r"loss must be one of .* got LogLoss\(\)", REGRESSOR, loss=LogLoss()),
    Case("loss a class", "loss must be one of .* got <class", loss=LogLoss),
    Case("quantile 1", r"quantile must be in \(0, 1\), got 1", REGRESSOR, loss=QuantileLoss(1)),
    Case("delta 0", r"delta must be in \(0, inf\), got 0", REGRESSOR, loss=HuberLoss(0)),
    Case("power 0.5", "power must be 0 or at least 1, got 0.5", REGRESSOR, loss=TweedieLoss(0.5)),
    Case("optimizer unknown", "optimizer must be one of .*'adagrad'.*, got 'rmsprop'", optimizer="rmsprop"),
    Case("optimizer None", "optimizer must be one of .* got None", optimizer=None),
    Case("optimizer a class", "optimizer must be one of .* got <class", optimizer=AdaGrad),
    Case("schedule unknown", "SGD: schedule must be .* got 'optiml'", optimizer=SGD(schedule="optiml")),
    Case("power_t negative", "SGD: power_t", optimizer=SGD(power_t=-1)),
    Case("epsilon 0", r"AdaGrad: epsilon must be in \(0, 1e\+38\], got 0", optimizer=AdaGrad(epsilon=0)),
    Case("rowwise", "AdaGrad: rowwise must be .* got 1", optimizer=AdaGrad(rowwise=1)),
    Case("rowwise of Adam", "Adam: rowwise must be .* got 1", optimizer=Adam(rowwise=1)),
    Case("beta_1 = 1", r"Adam: beta_1 must be in \[0, 1\), got 1", optimizer=Adam(beta_1=1)),
    Case("beta 0", "FTRL: beta", optimizer=FTRL(beta=0)),
    Case("FTRL averaged", "average is not available with optimizer FTRL", optimizer="ftrl", average=True),
    Case("activation unknown", "activation must be one of .*'relu'.*, got 'sigmoid'", activation="sigmoid"),
    Case("activation None", "activation must be one of .* got None", activation=None),
    Case("class_weight unknown", "class_weight must be .* got 'even'", class_weight="even"),
    Case("class_weight a list", r"class_weight must be .* got \[1, 2\]", class_weight=[1, 2]),
    Case("class_weight an array", "class_weight must be .* got array", class_weight=np.array([1, 2])),
    Case("class_weight of strings", "class_weight: 0 must be a number, got 'a'", class_weight={0: "a"}),
    Case("class_weight negative", "class_weight: 1 must be in", class_weight={1: -1.0}),
    Case("class_weight of no class", r"class_weight names \['a'\]", class_weight={"a": 1.0}),
    Case("penalty a name", "penalty must be None, a Penalty or a list of them, got 'l2'", penalty="l2"),
    Case("penalty twice", "penalty: two penalties set 'l2'", penalty=[L2(1.0), ElasticNet(1.0)]),
    Case("strength negative", r"L2: strength must be in \[0, 1e\+38\], got -1", penalty=L2(-1.0)),
    Case(
        "strengths too few", r"L1: strength must be a number or of shape \(20,\), got shape \(2,\)", penalty=L1([1, 2])
    ),
    Case(
        "strengths negative", "L2: strength must be in \\[0, .*\\] for each feature", penalty=L2(-np.ones(N_FEATURES))
    ),
    Case("strengths strings", "L2: strength must be a number or a 1-D array", penalty=L2(["a"] * N_FEATURES)),
    Case(
        "center too short",
        r"L2: center must be of shape \(1, 20\).* got shape \(1, 2\)",
        penalty=L2(1.0, center=[0, 1]),
    ),
    Case("center nan", "L2: center contains NaN", penalty=L2(1.0, center=[np.nan] * N_FEATURES)),
    Case("center strings", "L2: center must be an array of numbers", penalty=L2(1.0, center=["a"] * N_FEATURES)),
    Case("eps negative", "NonNegative: eps", penalty=NonNegative(-1)),
    Case("Orthogonal without hidden layers", "Orthogonal needs a hidden layer", penalty=Orthogonal()),
    Case("n_draws 1.5", "Orthogonal: n_draws must be an integer", penalty=Orthogonal(n_draws=1.5)),
    # ---- numbers
    Case("network", "network must be None, a node", network=[1]),
    Case("hidden sizes a bool", "must be an integer or a tuple of integers, got True", hidden_layer_sizes=True),
    Case("hidden sizes a float", "must be an integer or a tuple of integers, got 8.0", hidden_layer_sizes=8.0),
    Case("hidden sizes a string", "must be an integer or a tuple of integers, got '64'", hidden_layer_sizes="64"),
    Case("hidden sizes a set", "must be an integer or a tuple of integers", hidden_layer_sizes={64}),
    Case("one hidden size of 0", "hidden_layer_sizes must be at least 1, got 0", hidden_layer_sizes=0),
    Case("hidden size 0", "hidden_layer_sizes must be at least 1, got 0", hidden_layer_sizes=(0,)),
    Case("hidden size 1.5", "hidden_layer_sizes must be an integer .* got 1.5", hidden_layer_sizes=(1.5,)),
    Case("dropout 1", r"dropout must be in \[0, 1\), got 1.0", dropout=1.0),
    Case("dropout nan", "dropout .* got nan", dropout=np.nan),
    Case("input_dropout a string", "input_dropout must be a number, got '0.5'", input_dropout="0.5"),
    Case("learning_rate 0", r"learning_rate must be in \(0, 1e\+38\], got 0", learning_rate=0),
    Case("learning_rate nan", "learning_rate .* got nan", learning_rate=np.nan),
    Case("learning_rate inf", "learning_rate .* got inf", learning_rate=np.inf),
    Case("learning_rate a string", "learning_rate must be a number, got '0.1'", learning_rate="0.1"),
    Case("learning_rate a bool", "learning_rate must be a number, got True", learning_rate=True),
    Case("learning_rate of an object", "AdaGrad: learning_rate .* got -1", optimizer=AdaGrad(-1)),
    Case("alpha negative", r"alpha must be in \[0, 1e\+38\], got -1", alpha=-1),
    Case("alpha a string", "alpha must be a number, got 'auto'", alpha="auto"),
    Case("l1_ratio 2", r"l1_ratio must be in \[0, 1\], got 2", l1_ratio=2),
    Case("batch_size 0", "batch_size.* must be at least 1, got 0", batch_size=0),
    Case("batch_size a name", "batch_size.*'auto'.* must be an integer .* got 'big'", batch_size="big"),
    Case("batch_size an array", "batch_size.* must be an integer", batch_size=np.array([1, 2])),
    Case("batch_size a bool", "batch_size.* must be an integer .* got True", batch_size=True),
    Case("max_iter 0", "max_iter must be at least 1, got 0", max_iter=0),
    Case("max_iter 2.0", "max_iter must be an integer .* got 2.0", max_iter=2.0),
    Case("max_iter a string", "max_iter must be an integer .* got 'many'", max_iter="many"),
    Case("tol negative", r"tol must be in \[0, inf\), got -1", tol=-1),
    Case("tol a string", "tol must be a number, got 'auto'", tol="auto"),
    Case("n_iter_no_change 0", "n_iter_no_change must be at least 1", n_iter_no_change=0),
    Case("validation_fraction 1", r"validation_fraction must be in \(0, 1\), got 1", validation_fraction=1),
    Case("fit_intercept a number", "fit_intercept must be True or False, got 1", fit_intercept=1),
    Case(
        "early_stopping a string",
        "early_stopping, if not 'auto', must be True or False, got 'yes'",
        early_stopping="yes",
    ),
    Case("shuffle None", "shuffle must be True or False, got None", shuffle=None),
    Case("average 0", "average must be at least 1, got 0", average=0),
    Case("average a string", "average must be an integer", average="yes"),
    Case("warm_start a number", "warm_start must be True or False, got 0", ways=("fit",), warm_start=0),
    Case("n_jobs 0", "n_jobs must be None or a non-zero integer, got 0", n_jobs=0),
    Case("n_jobs 1.5", "n_jobs must be None or a non-zero integer, got 1.5", n_jobs=1.5),
    Case("n_jobs a bool", "n_jobs must be None or a non-zero integer, got True", n_jobs=True),
    Case("random_state a string", "'seed' cannot be used to seed", random_state="seed"),
    Case("verbose a string", "verbose must be an integer .* got 'yes'", verbose="yes"),
    Case("verbose None", "verbose must be an integer .* got None", verbose=None),
    Case("verbose -1", "verbose must be at least 0, got -1", verbose=-1),
    # ---- training that fails
    Case("diverging SGD", "diverged.*Lower learning_rate", REGRESSOR, optimizer=SGD(1e10, schedule="constant")),
    Case("diverging learning_rate", "diverged.*Lower learning_rate", REGRESSOR, optimizer="sgd", learning_rate=1e30),
    Case(
        "diverging net",
        "diverged.*Lower learning_rate",
        REGRESSOR,
        ("fit",),
        hidden_layer_sizes=(8,),
        optimizer=SGD(1e10, schedule="constant"),
    ),
]


def name_of(case):
    return case.name.replace(" ", "-")


def fitted(model, **params):
    model = clone(model).set_params(**params)
    return model.fit(X, TARGETS[type(model)])


def call(model, way, arguments):
    """Run a method with good arguments but for those given."""
    if way == "predict":
        return model.predict(arguments["X"])
    arguments = {"X": X, "y": TARGETS[type(model)], **arguments}
    return model.partial_fit(**arguments) if way == "partial_fit" else model.fit(**arguments)


def snapshot(model):
    """Everything a fit sets, and what the model computes from it."""
    attributes = {name: copy.deepcopy(value) for name, value in vars(model).items() if name.endswith("_")}
    computed = {"predictions": model.predict(X), "coef": model.coef_.copy(), "intercept": model.intercept_.copy()}
    del attributes["network_"]
    return {**attributes, **computed}


def assert_same(before, after):
    assert before.keys() == after.keys()
    for name, value in before.items():
        np.testing.assert_array_equal(value, after[name], err_msg=name)


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_bad_input_is_named_and_leaves_the_model_as_it_was(case):
    for way in case.ways:
        model = fitted(case.model, warm_start=way == "warm_start")
        good = model.get_params(deep=False)
        before, names = snapshot(model), set(vars(model))
        model.set_params(**case.params)
        with pytest.raises((ValueError, TypeError), match=case.match):
            call(model, way, case.data)
        model.set_params(**good)
        assert set(vars(model)) == names
        assert_same(before, snapshot(model))


@pytest.mark.parametrize("case", [case for case in CASES if "fit" in case.ways], ids=name_of)
def test_a_failed_first_fit_leaves_no_attributes(case):
    model = clone(case.model).set_params(**case.params)
    names = set(vars(model))
    with pytest.raises((ValueError, TypeError)):
        call(model, "fit", case.data)
    assert set(vars(model)) == names


def test_the_table_is_long():
    assert len(CASES) >= 60
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize(
    "classes, match",
    [
        (None, "classes must be passed on the first call"),
        ([0], "which are not among"),
        ([1, 2], "which are not among"),
        ([0, 1, np.nan], "classes contains NaN"),
    ],
)
def test_classes_of_the_first_partial_fit(classes, match):
    model = clone(CLASSIFIER)
    names = set(vars(model))
    with pytest.raises(ValueError, match=match):
        model.partial_fit(X, LABELS, classes=classes)
    assert set(vars(model)) == names


def test_classes_may_not_change():
    model = clone(CLASSIFIER).partial_fit(X, LABELS, classes=[0, 1])
    before = snapshot(model)
    with pytest.raises(ValueError, match="classes must be as on the first call"):
        model.partial_fit(X, LABELS, classes=[0, 1, 2])
    assert_same(before, snapshot(model))


# ---- training that is cut short ------------------------------------------------------

STATES = {
    "adagrad": {},
    "adam": {"optimizer": "adam"},
    "ftrl": {"optimizer": "ftrl", "l1_ratio": 0.5, "alpha": 1e-3},
    "sgd": {"optimizer": "sgd"},
    "lazy L1": {"alpha": 1e-2, "l1_ratio": 1.0},
    "averaged": {"average": True},
    "hidden": {"hidden_layer_sizes": (4,)},
}


def interrupt_after_one_epoch(monkeypatch):
    epoch = Trainer.epoch

    def interrupted(self):
        epoch(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "epoch", interrupted)


@pytest.mark.parametrize("params", STATES.values(), ids=STATES)
@pytest.mark.parametrize("way", ALL_WAYS)
def test_an_interrupt_leaves_the_model_as_it_was(way, params, monkeypatch):
    model = clone(CLASSIFIER).set_params(**params, warm_start=way == "warm_start")
    model.partial_fit(X[:60], LABELS[:60], classes=[0, 1])
    before = model.decision_function(X)
    names = set(vars(model))
    with monkeypatch.context() as patch:
        interrupt_after_one_epoch(patch)
        with pytest.raises(KeyboardInterrupt):
            call(model, way, {})
    assert set(vars(model)) == names
    # not to the last bit: a copy of the net makes missed steps up at once, not row by row
    np.testing.assert_allclose(model.decision_function(X), before, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("params", STATES.values(), ids=STATES)
def test_partial_fit_goes_on_after_an_interrupt_as_if_nothing_had_been(params, monkeypatch):
    models = [clone(CLASSIFIER).set_params(**params) for _ in range(2)]
    for model in models:
        model.partial_fit(X[:60], LABELS[:60], classes=[0, 1])
    with monkeypatch.context() as patch:
        interrupt_after_one_epoch(patch)
        with pytest.raises(KeyboardInterrupt):
            models[0].partial_fit(X[50:], LABELS[50:])
    for model in models:
        model.partial_fit(X, LABELS)
    np.testing.assert_array_equal(*[model.decision_function(X) for model in models])


@pytest.mark.parametrize("changed", [{"alpha": 10.0}, {"optimizer": "adam"}, {"average": True}], ids=str)
def test_an_interrupted_change_of_rules_is_undone(changed, monkeypatch):
    rules = {"alpha": 1e-2, "l1_ratio": 1.0}
    models = [clone(CLASSIFIER).set_params(**rules) for _ in range(2)]
    for model in models:
        model.partial_fit(X, LABELS, classes=[0, 1])
        model.partial_fit(X[:5], LABELS[:5])
    models[0].set_params(**changed)
    with monkeypatch.context() as patch:
        interrupt_after_one_epoch(patch)
        with pytest.raises(KeyboardInterrupt):
            models[0].partial_fit(X[10:20], LABELS[10:20])
    models[0].set_params(**{**clone(CLASSIFIER).get_params(), **rules})
    np.testing.assert_allclose(models[0].coef_, models[1].coef_, rtol=1e-5, atol=1e-7)


def test_an_interrupt_leaves_a_sparsified_model_as_it_was(monkeypatch):
    model = clone(CLASSIFIER).set_params(alpha=0.1, l1_ratio=1.0).fit(X, LABELS).sparsify()
    before = model.coef_.copy(), model.intercept_.copy()
    interrupt_after_one_epoch(monkeypatch)
    for rows in (slice(0, 1), slice(None)):
        with pytest.raises(KeyboardInterrupt):
            model.partial_fit(X[rows], LABELS[rows])
        assert sparse.issparse(model.coef_)
        assert (model.coef_ != before[0]).nnz == 0
        np.testing.assert_array_equal(model.intercept_, before[1])


def test_an_error_in_one_thread_waits_for_the_others():
    begun, late = threading.Event(), []

    def work(item):
        if item == 0:
            begun.wait(5)
            raise ValueError("item 0 fails")
        begun.set()
        time.sleep(0.3)
        late.append(item)

    with Crew(2) as crew, pytest.raises(ValueError, match="item 0 fails"):
        crew.map(work, range(2))
    assert late == [1]


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs signals to a thread")
@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.usefixtures("sigint_raises")
def test_a_real_interrupt_stops_soon_and_leaves_the_model_as_it_was(method, n_jobs, monkeypatch):
    monkeypatch.setattr(threads, "_pool_limit", lambda: 2)
    rng = np.random.RandomState(0)
    n_nonzero = 20 * BIG_ROWS
    indptr = np.arange(0, n_nonzero + 1, 20)
    columns = rng.randint(0, 10_000, n_nonzero)
    big = sparse.csr_matrix((np.ones(n_nonzero, np.float32), columns, indptr), (BIG_ROWS, 10_000))
    y = rng.randint(0, 2, BIG_ROWS)
    model = VectorFlowClassifier(hidden_layer_sizes=(64,), max_iter=100, tol=None, n_jobs=n_jobs, random_state=0)
    model.set_params(max_iter=1).fit(big[:1000], y[:1000])
    before = model.decision_function(big[:1000])
    sent = []

    def interrupt():
        sent.append(time.perf_counter())
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    timer = threading.Timer(0.6, interrupt)
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            if method == "fit":
                model.set_params(max_iter=100).fit(big, y)
            else:
                end = time.perf_counter() + 60  # an interrupt that never arrives fails the test
                while time.perf_counter() < end:
                    model.partial_fit(big, y)
                    before = model.decision_function(big[:1000])
    finally:
        timer.cancel()
    assert time.perf_counter() - sent[0] < 2.0
    np.testing.assert_array_equal(model.decision_function(big[:1000]), before)
