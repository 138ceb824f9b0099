"""The loops of loops.c, compiled with the machine's C compiler and run in threads."""

import ctypes
import os
import shlex
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

import sklearn_vectorflow
from sklearn_vectorflow.threads import Crew

SOURCE = Path(__file__).with_name("loops.c")
ENGINE = Path(sklearn_vectorflow.__file__).parent / "engine"
FLAGS = ["-O3"]
AHEAD = 0, 64, 256  # non-zeros that weights are asked for before their use; the fastest is the roof


class Rows(ctypes.Structure):
    """Rows [start, end) of a CSR matrix, as loops.c reads them."""

    _fields_ = [
        ("starts", ctypes.c_void_p),
        ("indices", ctypes.c_void_p),
        ("values", ctypes.c_void_p),
        ("start", ctypes.c_int64),
        ("end", ctypes.c_int64),
        ("ahead", ctypes.c_int64),
    ]


def compiled():
    """Compile loops.c and load it."""
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, "loops.so")
        compiler = shlex.split(os.environ.get("CC", "cc"))
        subprocess.run([*compiler, *FLAGS, "-shared", "-fPIC", "-I", ENGINE, SOURCE, "-o", library], check=True)
        return ctypes.CDLL(str(library))


class Roof:
    """Loops over rows and parameters of a width.

    Parameters
    ----------
    X : CSR matrix
        Of float32, no column twice in a row.
    """

    def __init__(self, X):
        self.X = X
        self.starts, self.indices = (array.astype(np.int32, copy=False) for array in (X.indptr, X.indices))
        self.out = np.zeros(X.shape[0], dtype=np.float32)
        weights, squares = (np.full(X.shape[1], start, dtype=np.float32) for start in (0.01, 1.0))
        self.parameters = {
            "gather": (weights,),
            "update_arrays": (weights.copy(), squares),
            "update_records": (np.column_stack([weights, squares]),),
        }
        self.loops = compiled()

    def seconds(self, loop, ahead, n_threads, clock=time.perf_counter):
        """Return a clock's seconds of a pass of a loop over all rows, a range of them at a time a thread."""
        function = getattr(self.loops, loop)
        arrays = [ctypes.c_void_p(array.ctypes.data) for array in (*self.parameters[loop], self.out)]
        csr = [array.ctypes.data for array in (self.starts, self.indices, self.X.data)]

        def run(span):
            function(ctypes.byref(Rows(*csr, *span, ahead)), *arrays)

        with Crew(n_threads) as crew:
            begun = clock()
            crew.map(run, crew.ranges(self.X.shape[0]))
            return clock() - begun
