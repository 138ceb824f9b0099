"""
Training on several machines
============================

This example trains a model on a Dask cluster. Its workers are processes on this machine. On several machines, only
the client would differ: ``Client("scheduler:8786")``. Tasks train on separate parts of the rows, and other tasks
merge the results.

Needs ``pip install "sklearn-vectorflow[dask]"``.
"""

# %%
# Rows in parts
# -------------
#
# A worker makes each delayed part when it needs it. On a real cluster it would read a file that all workers can
# access.

import dask
import numpy as np
from dask.distributed import Client, LocalCluster
from scipy import sparse

from sklearn_vectorflow import VectorFlowClassifier
from sklearn_vectorflow.dask import DaskVectorFlowClassifier

N_COLUMNS, N_PARTS, N_ROWS = 2**16, 8, 10_000
WEIGHTS = np.random.default_rng(0).normal(size=N_COLUMNS)


def rows(seed):
    """Return rows with 10 ones each, at columns of which few are frequent, and their classes."""
    rng = np.random.default_rng(seed)
    columns = rng.zipf(1.2, 10 * N_ROWS) % N_COLUMNS
    X = sparse.csr_matrix((np.ones(10 * N_ROWS), columns, np.arange(0, 10 * N_ROWS + 1, 10)), (N_ROWS, N_COLUMNS))
    X.sum_duplicates()
    return X.astype(np.float32), (rng.random(N_ROWS) < 1 / (1 + np.exp(-X @ WEIGHTS))).astype(int)


def main():
    """Fit on the cluster and in one process."""
    parts = [dask.delayed(rows)(seed) for seed in range(N_PARTS)]
    X_test, y_test = rows(N_PARTS)
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster, Client(cluster):
        model = DaskVectorFlowClassifier(max_iter=4, tol=None, random_state=0, verbose=1).fit(parts)
        predicted = model.predict_proba(parts)  # a dask array: nothing is computed yet
        print(f"{predicted.shape[1]} columns of probabilities, the first part's: {predicted.blocks[0].compute().shape}")
    local = model.to_local()

    X, y = zip(*(rows(seed) for seed in range(N_PARTS)))
    in_one = VectorFlowClassifier(max_iter=4, tol=None, random_state=0).fit(sparse.vstack(X, "csr"), np.concatenate(y))
    scores = local.score(X_test, y_test), in_one.score(X_test, y_test)
    print("accuracy of the cluster's model {:.3f}, of one process {:.3f}".format(*scores))


# %%
# The worker processes import this file, so the code that starts the cluster needs a guard.

if __name__ == "__main__":
    main()
