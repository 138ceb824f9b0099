"""Models as ONNX graphs, for runtimes without Python."""

from sklearn_vectorflow.onnx.export import to_onnx

__all__ = ["to_onnx"]
