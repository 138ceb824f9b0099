"""Columns that are unlike, in models that stochastic steps train: they train on columns in units that are alike."""

from sklearn_vectorflow.defaults.columns import columns_to_scale
from sklearn_vectorflow.io.sampling import SMALL_SAMPLE
from sklearn_vectorflow.training.column_units import ColumnUnits
from sklearn_vectorflow.training.data import Data
from sklearn_vectorflow.training.sample import Sample


class ColumnUnitsMixin:
    """Trains on columns in units that are alike; the fitted net reads X as it is."""

    _column_units = None  # during a fit, if columns are unlike and nothing asks for steps in their own units

    def _in_column_units(self, graph, data, validation, initial):
        """Return training and validation rows, in other units if columns are unlike, which are then noted.

        Learning rates and strengths that users choose are for columns as they are, and so are weights to start from.
        """
        are_default = (self.optimizer, self.learning_rate, self.penalty) == ("auto", None, None) and not self.alpha
        anew = not self.warm_start and all(one is None for one in initial)
        may_change = are_default and anew and isinstance(data, Data) and graph.takes_units and not self._is_exact
        self._column_units = self._units_of(graph, data, validation) if may_change else None
        if self._column_units is not None:
            data = self._column_units.applied(data)
            validation = None if validation is None else self._column_units.applied(validation)
        return data, validation

    def _units_of(self, graph, data, validation):
        """Return units in which columns are alike; None if they are."""
        sample = Sample.of(data, SMALL_SAMPLE)
        chosen, typical = columns_to_scale(sample.matrix.values, data.matrix.shape[1], graph.is_linear)
        if not chosen.any():
            self._sample_of = data, sample
            return None
        return ColumnUnits.of(data, validation, bool(self.fit_intercept), sample.columns[chosen], typical)

    def _in_units_of_X(self, network):
        """Return a trained net, changed to read X as it is."""
        if self._column_units is not None:
            network.leave_units(self._column_units)
        return network
