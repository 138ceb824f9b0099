"""Many threads on one model: they predict, pickle, copy, sparsify, densify, train and fit it.

    python tools/robustness/concurrency.py --seconds 3600 --threads 16

No call may raise, no prediction may be other than finite, and every training pass must count.
"""

import argparse
import collections
import copy
import functools
import pickle
import random
import sys
import threading
import time
import traceback

import common
import numpy as np
from common import N_ROWS, X, Y

MODELS = {
    **{name: common.MODELS[name] for name in ("adagrad", "sgd with L1", "ftrl", "adam, averaged", "net")},
    "two outputs": {"loss": "multinomial", "alpha": 1e-4, "average": 1},
}


def finite(values):
    assert np.isfinite(values).all()


def same_outputs(expected, model):
    np.testing.assert_allclose(model.decision_function(X), expected, 1e-4, 1e-5)


def same_shape(model, other):
    assert other.decision_function(X[:20]).shape == model.decision_function(X[:20]).shape


READS = {
    "predict": lambda model: model.predict(X),
    "decision_function": lambda model: finite(model.decision_function(X)),
    "predict_proba": lambda model: finite(model.predict_proba(X)),
    "score": lambda model: finite(model.score(X, Y)),
    "coefs_": lambda model: [finite(weights) for weights in (*model.coefs_, *model.intercepts_)],
    "coef_": lambda model: hasattr(model, "coef_") and (model.coef_.sum(), model.intercept_.sum()),
    "pickle": lambda model: same_shape(model, pickle.loads(pickle.dumps(model))),
    "copy": lambda model: same_shape(model, copy.copy(model)),
    "deepcopy": lambda model: same_shape(model, copy.deepcopy(model)),
    "predictor": lambda model: finite(model.predictor("decision_function")(X[:10])),
}
WRITES = {
    "partial_fit": lambda model: model.partial_fit(X[:100], Y[:100]),
    "partial_fit of all": lambda model: model.partial_fit(X, Y),
    "sparsify": lambda model: hasattr(model, "sparsify") and model.sparsify(),
    "densify": lambda model: hasattr(model, "densify") and model.densify(),
}


def together(model, calls, n_threads, seconds, counts, seed):
    """Let threads make calls at random for some seconds; raise the first error."""
    until, faults = time.monotonic() + seconds, []

    def run(seed):
        draw = random.Random(seed)
        try:
            while time.monotonic() < until and not faults:
                what = draw.choice(list(calls))
                calls[what](model)
                counts[what] += 1
        except BaseException:
            faults.append(f"{what}: {traceback.format_exc()}")

    threads = [threading.Thread(target=run, args=[(seed << 8) + k], daemon=True) for k in range(n_threads)]
    for thread in threads:
        thread.start()
    with common.in_time(seconds + common.HANG):
        for thread in threads:
            thread.join()
    if faults:
        sys.exit(faults[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--threads", type=int, default=16)
    options = parser.parse_args()
    common.use_threads_for_little_work()
    counts = collections.Counter()
    seconds = options.seconds / (3 * len(MODELS))
    for seed, (name, params) in enumerate(MODELS.items()):
        model = common.VectorFlowClassifier(random_state=0, n_jobs=common.N_JOBS, max_iter=3, **params)
        model.partial_fit(X, Y, classes=[0, 1])
        expected = copy.deepcopy(model).decision_function(X)
        still = {what: call for what, call in {**READS, **WRITES}.items() if "partial_fit" not in what}
        still["same"] = functools.partial(same_outputs, expected)
        together(model, still, options.threads, seconds, counts, seed)
        before, begun = counts["partial_fit"] + counts["partial_fit of all"], model.n_iter_
        together(model, {**READS, **WRITES}, options.threads, seconds, counts, seed)
        passes = counts["partial_fit"] + counts["partial_fit of all"] - before
        assert model.n_iter_ - begun == passes == len(model.loss_curve_) - begun, (name, model.n_iter_, passes)
        refits = {**READS, **WRITES, "fit": lambda model: model.fit(X, Y)}
        together(model, refits, options.threads, seconds, counts, seed)
        finite(model.decision_function(X))
        assert model.predict(X).shape == (N_ROWS,)
    common.report(counts)


if __name__ == "__main__":
    main()
