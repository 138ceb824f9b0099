"""Real data for tests, where the environment variable VECTORFLOW_DATA names their folder."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

FOLDER = os.environ.get("VECTORFLOW_DATA")

needs_data = pytest.mark.skipif(not FOLDER, reason="VECTORFLOW_DATA does not name the folder of the data sets")


def load(name):
    """Return the arrays of a data set by their names, those of a CSR matrix put together."""
    with np.load(Path(FOLDER, f"{name}.npz")) as archive:
        stored = {key: archive[key] for key in archive.files}
    arrays = {key: value for key, value in stored.items() if "." not in key}
    for matrix in {key.partition(".")[0] for key in stored} - arrays.keys():
        data, indices, indptr, shape = (stored[f"{matrix}.{part}"] for part in ("data", "indices", "indptr", "shape"))
        arrays[matrix] = sparse.csr_matrix((data, indices, indptr.astype(np.int32)), shape=tuple(shape.tolist()))
    return arrays
