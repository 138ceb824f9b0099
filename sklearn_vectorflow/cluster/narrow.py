"""Nets of the columns alone that some rows have: tasks then cost what the rows cost, whatever the width."""

from dataclasses import replace
from functools import cached_property

import numpy as np
from scipy import sparse

from sklearn_vectorflow.engine.places import Marks
from sklearn_vectorflow.io.matrix import Matrix, csr
from sklearn_vectorflow.network.graph import Graph
from sklearn_vectorflow.network.network import Network
from sklearn_vectorflow.network.portable import put, take

WORTHWHILE = 1 << 16  # columns of X from which on


class Narrow:
    """The net of a template for some columns.

    Parameters
    ----------
    template : Template
    where : list of (ndarray or None)
        Records of every layer that rows touch: of those that read all of X, its columns.
    """

    def __init__(self, template, where):
        graph = template.network.graph
        self.template = template
        self.reads = [some is not None for some in where]
        self.columns = next(some for some in where if some is not None)
        self.n_features = graph.n_features
        self.graph = Graph(graph.heads, len(self.columns), graph.n_outputs, None, graph.n_active)

    @cached_property
    def _marks(self):
        marks = Marks(self.n_features)  # a table of all columns would be larger than most parts
        marks.add(self.columns)
        return marks

    def __getstate__(self):  # marks are quickly made, and do not travel
        return {name: value for name, value in vars(self).items() if name != "_marks"}

    @staticmethod
    def fits(template, state, where):
        """Return whether a net can be cut to columns: no layer may ask which they are."""
        graph = template.network.graph
        if graph.n_features < WORTHWHILE or not any(some is not None and len(some) for some in where):
            return False
        if any(place.sparse and not place.is_whole for place in graph.places):
            return False  # who reads crosses, some columns, or columns beside a hidden layer
        if any(place.fields is not None for place in graph.places):
            return False
        plain = all(np.isscalar(value) for layer in state.layers for value in layer.rule.penalty.values())
        wide = [layer.n_records == graph.n_features for layer in state.layers]
        return plain and wide == [some is not None for some in where]

    def network(self, state, to_predict):
        """Return a net in a state that has the records of these columns, and does not say which they are."""
        layers = [
            replace(layer, n_records=len(self.columns), index=None) if reads else layer
            for layer, reads in zip(state.layers, self.reads)
        ]
        return self.network_of(replace(state, layers=layers, signature=self.graph.signature()), to_predict)

    def network_of(self, state, to_predict=True):
        """Return a net in a state of these columns."""
        network = Network(self.graph, self.template.network.fit_intercept, state.scales)
        put(network, state, to_predict)
        return network

    def squeezed(self, state):
        """Return a state that has records of some of these columns as a state of these columns."""
        layers = [
            replace(layer, n_records=len(self.columns), index=self._marks.numbered(layer.index)) if reads else layer
            for layer, reads in zip(state.layers, self.reads)
        ]
        return replace(state, layers=layers, signature=self.graph.signature())

    def matrix(self, matrix):
        """Return rows, which have no other columns, with these columns alone."""
        X = matrix.values
        if not sparse.issparse(X):
            return Matrix(np.ascontiguousarray(X[:, self.columns]))
        n = X.indptr[-1]  # what stands behind may be no column
        triplet = X.data[:n], self._marks.numbered(X.indices[:n]), X.indptr
        found = matrix.rows.longest, matrix.rows.canonical
        return Matrix(csr(triplet, (X.shape[0], len(self.columns))), found=found)

    def taken(self, network, state):
        """Return the records of these columns, as those of all of X, without saying which; the net is used up."""
        found = take(network, [slice(None) if reads else None for reads in self.reads])
        layers = [
            replace(layer, n_records=before.n_records) if reads else layer
            for layer, before, reads in zip(found.layers, state.layers, self.reads)
        ]
        return replace(found, layers=layers, signature=state.signature)
