"""
Training on files larger than memory
====================================

A source reads a Parquet file block by block and hashes its columns to sparse rows, so the rows never need to fit in
memory together. The first pass writes the hashed rows to a cache on disk. Later passes and later models read this
cache.
"""

# %%
# A file
# ------

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.feature_extraction import FeatureHasher
from sklearn.preprocessing import FunctionTransformer

from sklearn_vectorflow import VectorFlowClassifier
from sklearn_vectorflow.inspection import LossCurveDisplay
from sklearn_vectorflow.io import CSRSource, ParquetSource

folder = Path(tempfile.mkdtemp())
rng = np.random.default_rng(0)
n_rows = 50_000
sites, ads = rng.zipf(1.3, n_rows) % 5000, rng.zipf(1.3, n_rows) % 2000
odds = rng.normal(size=5000)[sites] + rng.normal(size=2000)[ads]
table = pa.table(
    {
        "site": [f"site{site}" for site in sites],
        "ad": [f"ad{ad}" for ad in ads],
        "clicked": (rng.random(n_rows) < 1 / (1 + np.exp(-odds))).astype(np.int8),
    }
)
pq.write_table(table, folder / "clicks.parquet", row_group_size=5_000)

# %%
# A source
# --------
#
# Any transformer can encode the columns of the file. This one hashes names to 2**18 columns.


def hash_rows(frame):
    """Hash a table's columns, each value by its column's name."""
    columns = [[f"{name}={value}" for value in frame[name].to_pylist()] for name in frame.column_names]
    return FeatureHasher(2**18, input_type="string", dtype=np.float32).transform(zip(*columns))


encoder = FunctionTransformer(hash_rows)
source = ParquetSource(folder / "clicks.parquet", "clicked", encoder=encoder, cache=folder / "cache")
model = VectorFlowClassifier(random_state=0).fit(source)
print(f"{source.n_rows:,} rows in {source.n_parts} parts, {model.n_iter_} epochs, log loss {model.loss_curve_[-1]:.3f}")

# %%
# You can also open the cache itself as a source.

cached = CSRSource.open(folder / "cache")
print(f"{cached.n_rows:,} rows in the cache, accuracy {model.score(cached):.3f}")

# %%
# Each epoch reads the cache once. The loss of a row is taken before its own step, so the first epoch estimates the loss
# of new rows.

LossCurveDisplay.from_estimator(model)
plt.show()
