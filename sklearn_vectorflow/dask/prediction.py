"""Predictions for rows that are spread: a task for each part, and a dask array of what they give."""

import math
import warnings

import dask
import dask.array as da
import numpy as np
from scipy import sparse

from sklearn_vectorflow.cluster.parts import blocks_of, part_of
from sklearn_vectorflow.dask.inputs import blocks_beside, is_list
from sklearn_vectorflow.validation.errors import naming


def predicted(model, name, X, encoder, arguments, options):
    """Return a dask array of what a method gives for rows.

    Parameters
    ----------
    model : estimator
        A local one.
    name : str
        Of the method.
    X : dask array, dask data frame or list
    encoder : transformer or None
    arguments, options : tuple and dict
        Of the method, beside X.
    """
    meta = _meta(model, name, arguments, options)
    holder = dask.delayed(model, pure=False, traverse=False)
    function = dask.delayed(_predict, pure=False)
    parts = X if is_list(X) else blocks_beside(X)
    rows = X.chunks[0] if hasattr(X, "chunks") else (math.nan,) * len(parts)
    arrays = [
        da.from_delayed(
            function(holder, name, k, part, encoder, arguments, options),
            (n_rows, *meta.shape[1:]),
            meta.dtype,
            meta=meta,
        )
        for k, (part, n_rows) in enumerate(zip(parts, rows))
    ]
    return da.concatenate(arrays) if len(arrays) > 1 else arrays[0]


def _meta(model, name, arguments, options):
    """Return what the method gives for no rows."""
    row = sparse.csr_matrix((1, model.n_features_in_), dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a row of zeros has no names of columns
        found = getattr(model, name)(row, *arguments, **options)
    if isinstance(found, tuple):
        raise TypeError(f"{name} gives {len(found)} arrays with these options, which can't be asked for on a cluster.")
    return found[:0]


def _predict(model, name, number, part, encoder, arguments, options):
    X = part[0] if isinstance(part, tuple) else part
    with naming(f"part {number}"):
        if encoder is not None:
            X = encoder.transform(X)
        if not len(X) if not hasattr(X, "shape") else not X.shape[0]:
            return _meta(model, name, arguments, options)
        return getattr(model, name)(X, *arguments, **options)


def raw_of_part(model, number, *values):
    """Return raw outputs, targets, weights and groups of a part."""
    with naming(f"part {number}"):
        blocks = blocks_of(model, part_of(values))
        return [(model._raw(rows.matrix, rows.offset), rows.y, rows.weight, rows.groups) for rows in blocks]
