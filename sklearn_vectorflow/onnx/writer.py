"""Writing of ONNX graphs on rows that are three arrays of a CSR matrix."""

import itertools

import numpy as np

OPSET = 18  # the first in which scattered values are added up
IR_VERSION = 8  # of the time of that set, so that runtimes of the time read it
INPUTS = {"indices": ("INT64", ["n_values"]), "offsets": ("INT64", ["n_rows + 1"]), "values": ("FLOAT", ["n_values"])}


class Writer:
    """Collects the nodes of a graph and its constants.

    Raises
    ------
    ImportError
        If onnx is not installed.
    """

    def __init__(self):
        try:
            import onnx
        except ImportError as error:
            raise ImportError("to_onnx needs onnx: pip install 'sklearn-vectorflow[onnx]'.") from error
        self._onnx = onnx
        self._nodes, self._constants = [], []
        self._numbers = itertools.count()
        self._rows = None

    def add(self, operator, *inputs, **attributes):
        """Add a node, and return the name of its output; inputs are names, or numbers and arrays."""
        name = f"{operator}_{next(self._numbers)}"
        inputs = [one if isinstance(one, str) else self._constant(one) for one in inputs]
        self._nodes.append(self._onnx.helper.make_node(operator, inputs, [name], **attributes))
        return name

    def _constant(self, array):
        name = f"constant_{next(self._numbers)}"
        self._constants.append(self._onnx.numpy_helper.from_array(np.asarray(array), name))
        return name

    def type_of(self, dtype):
        """Return ONNX's number of a type."""
        return self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))

    def row_of_value(self):
        """Return the name of which row each value belongs to, and that of the number of rows."""
        if self._rows is None:
            begins = self.add("Slice", "offsets", [1], [-1])  # of all rows but the first; rows may be empty
            places = self.add("Add", self.add("Shape", "indices"), [1])
            none = self.add("ConstantOfShape", places, value=self._onnx.numpy_helper.from_array(np.zeros(1, np.int64)))
            steps = self.add("ScatterElements", none, begins, self.filled(begins, 1), axis=0, reduction="add")
            rows = self.add("Slice", self.add("CumSum", steps, 0), [0], [-1])
            self._rows = self.add("Unsqueeze", rows, [1]), self.add("Sub", self.add("Shape", "offsets"), [1])
        return self._rows

    def filled(self, like, value):
        """Return the name of an array of the shape of another that is filled with a number."""
        return self.add("Expand", [value], self.add("Shape", like))

    def sum_rows(self, weights):
        """Return the name of the products of the rows with an array of weights, shape (n_features, n_out)."""
        rows, n_rows = self.row_of_value()
        products = self.add("Mul", self.add("Gather", weights, "indices"), self.add("Unsqueeze", "values", [1]))
        shape = self.add("Concat", n_rows, [weights.shape[1]], axis=0)
        zeros = self.add("Expand", np.zeros(1, np.float32), shape)
        return self.add("ScatterND", zeros, rows, products, reduction="add")

    def model(self, output, name):
        """Return the model that returns an output under another name."""
        helper, types = self._onnx.helper, self._onnx.TensorProto
        self._nodes.append(helper.make_node("Identity", [output], [name]))
        inputs = [
            helper.make_tensor_value_info(one, getattr(types, kind), shape) for one, (kind, shape) in INPUTS.items()
        ]
        outputs = [self._onnx.ValueInfoProto(name=name)]
        graph = helper.make_graph(self._nodes, "sklearn_vectorflow", inputs, outputs, self._constants)
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(
            graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="sklearn_vectorflow"
        )
        model = self._onnx.shape_inference.infer_shapes(model)
        self._onnx.checker.check_model(model)
        return model
