"""Our network as an ONNX graph, float32 and with steps of integers, in onnxruntime and OpenVINO on one thread.

For `integers.py peers`, which times what `runners` gives. Alone in a file because it needs packages that hcs does not:
onnx, and onnxruntime or openvino. The graph quantises as the two want it (QuantizeLinear and DequantizeLinear around
every layer, weights of 8 bits by channel), with the steps of our card.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from hcs.segment.ours.unet import UNet

Floats = NDArray[np.float32]


class Graph:
    """Nodes and constants of the network, ``steps`` None for float32."""

    def __init__(self, network: UNet, steps: Mapping[str, Sequence[int]] | None) -> None:
        self.steps, self.nodes, self.constants = steps, [], []
        self._numbers = itertools.count()
        x, skips, levels = self.rounded("x", "input"), [], len(network.down)
        for level in range(levels):
            if level:
                x = self.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
            x = self.block(network.down[level], x, f"down{level}")
            skips.append(x)
        for level in reversed(range(levels - 1)):
            x = self.conv(network.narrow[level], x)
            x = self.add("Resize", x, "", self.constant(np.array([1, 1, 2, 2], np.float32)), mode="nearest")
            x = self.rounded(self.add("Add", x, skips[level]), f"join{level}")
            x = self.block(network.up[level], x, f"up{level}")
        self.out = self.add("Softmax", self.conv(network.head, x), axis=1)

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        from onnx import helper  # noqa: PLC0415

        name = f"v{next(self._numbers)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, values: NDArray[Any]) -> str:
        from onnx import numpy_helper  # noqa: PLC0415

        name = f"c{next(self._numbers)}"
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def rounded(self, x: str, name: str) -> str:
        """Values as bytes stand for them."""
        if self.steps is None:
            return x
        exponent, zero = self.steps[name]
        step, byte = self.constant(np.array(2.0**exponent, np.float32)), self.constant(np.array(zero, np.uint8))
        return self.add("DequantizeLinear", self.add("QuantizeLinear", x, step, byte), step, byte)

    def conv(self, layer: nn.Conv2d, x: str) -> str:
        values = layer.weight.detach().contiguous().numpy()
        weights = self.constant(values)
        if self.steps is not None:
            steps = np.abs(values).max(axis=(1, 2, 3)) / 127
            whole = np.rint(values / steps[:, None, None, None]).astype(np.int8)
            zeros = self.constant(np.zeros(len(steps), np.int8))
            weights = self.add("DequantizeLinear", self.constant(whole), self.constant(steps), zeros, axis=0)
        assert layer.bias is not None
        return self.add("Conv", x, weights, self.constant(layer.bias.detach().numpy()))

    def block(self, block: Any, x: str, name: str) -> str:
        for i, layer in enumerate((block.conv1, block.conv2), start=1):
            x = self.add("Pad", x, self.constant(np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64)), mode="edge")
            x = self.rounded(self.add("Relu", self.conv(layer, x)), f"{name}.{i}")
        return x

    def model(self, size: int) -> bytes:
        """The graph for images of ``size``."""
        import onnx  # noqa: PLC0415
        from onnx import TensorProto, helper  # noqa: PLC0415

        given = {"x": [1, 1, size, size], self.out: [1, 3, size, size]}
        shapes = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in given.items()]
        graph = helper.make_graph(self.nodes, "network", shapes[:1], shapes[1:], self.constants)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        onnx.checker.check_model(made)
        return bytes(made.SerializeToString())


def runners(network: UNet, steps: Mapping[str, Sequence[int]], field: Floats) -> dict[str, Callable[[], Floats]]:
    """What the two make of a field (1, Y, X), by name; those that are not installed are left out."""
    found: dict[str, Callable[[], Floats]] = {}
    for numbers, given in (("float32", None), ("int8", steps)):
        model = Graph(network, given).model(field.shape[1])
        for name, start in (("onnxruntime", _onnxruntime), ("OpenVINO", _openvino)):
            try:
                found[f"{name} {numbers}"] = start(model, field[:, None])
            except ImportError as error:
                print(f"{name} is left out: {error}")
    return found


def _onnxruntime(model: bytes, x: Floats) -> Callable[[], Floats]:
    import onnxruntime  # noqa: PLC0415

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda: np.asarray(session.run(None, {"x": x})[0])


def _openvino(model: bytes, x: Floats) -> Callable[[], Floats]:
    import openvino  # noqa: PLC0415

    core = openvino.Core()
    told = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    request = core.compile_model(core.read_model(model), "CPU", told).create_infer_request()
    return lambda: np.asarray(request.infer({0: x})[0])
