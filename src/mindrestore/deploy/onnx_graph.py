"""An ONNX graph, built node by node: values get names, constants become initialisers."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from mindrestore.errors import UserError
from mindrestore.files import PathLike
from mindrestore.models.signature import Port

if TYPE_CHECKING:
    import onnx

OPSET = 17
_FREE_BATCH, _FREE_SIZE = "batch", ("height", "width")  # names of the axes, first and last, whose size is free


class Graph:
    """A graph that nodes are added to. Values are names: ``graph("Add", a, b)`` adds a node and returns that of its result."""

    def __init__(self) -> None:
        try:
            import onnx
        except ImportError:
            raise UserError("format onnx: the package onnx is not installed; run: pip install onnx onnxruntime") from None
        self._onnx = onnx
        self._nodes, self._constants, self._inputs, self._outputs = [], [], [], []
        self._known = {}  # names of constants by content, and of the results of nodes by operator, inputs and attributes

    def __call__(self, operator: str, *inputs: ArrayLike, outputs: int = 1, **attributes: Any) -> str | list[str]:
        """Add a node; arrays among ``inputs`` become constants. Returns the name of its output, or a list of several.

        A node that is there already is not added again.
        """
        values = [value if isinstance(value, str) else self.constant(value) for value in inputs]
        key = operator, *values, outputs, repr(attributes)
        if key not in self._known:
            names = [f"{operator.lower()}_{len(self._nodes)}_{index}" for index in range(outputs)]
            self._nodes.append(self._onnx.helper.make_node(operator, values, names, **attributes))
            self._known[key] = names
        names = self._known[key]
        return names[0] if outputs == 1 else list(names)

    def constant(self, array: ArrayLike) -> str:
        """Add an array; returns its name. Floats are float32, whole numbers int64, as ONNX wants shapes.

        Equal arrays are held once.
        """
        array = np.asarray(array)
        array = array.astype(np.float32 if array.dtype.kind == "f" else np.int64)
        key = array.dtype.str, array.shape, hashlib.sha256(array.tobytes()).digest()
        if key not in self._known:
            self._known[key] = f"constant_{len(self._constants)}"
            self._constants.append(self._onnx.numpy_helper.from_array(array, self._known[key]))
        return self._known[key]

    def input(self, port: Port) -> str:
        """Add a ``mindrestore.models.signature.Port`` as input; returns its name."""
        self._inputs.append(self._value(port))
        return port.name

    def output(self, value: str, port: Port) -> None:
        """Make a value the output of ``port``."""
        self._nodes.append(self._onnx.helper.make_node("Identity", [value], [port.name]))
        self._outputs.append(self._value(port))

    def write(self, path: PathLike, meaning: str) -> None:
        """Check the graph and write it to ``path``, with ``meaning`` as its description."""
        helper = self._onnx.helper
        graph = helper.make_graph(self._nodes, "mindrestore", self._inputs, self._outputs, initializer=self._constants)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="mindrestore", doc_string=meaning, ir_version=8
        )
        self._onnx.checker.check_model(model, full_check=True)
        self._onnx.save(model, str(path))

    def _value(self, port: Port) -> onnx.ValueInfoProto:
        names = (_FREE_BATCH, *[None] * (len(port.shape) - 3), *_FREE_SIZE)
        shape = [name if size is None else size for name, size in zip(names, port.shape)]
        return self._onnx.helper.make_tensor_value_info(port.name, self._onnx.TensorProto.FLOAT, shape)
