"""Streams in int8: ONNX Runtime's quantiser, with tensors' ranges and biases of our own.

Pairs of quantise and dequantise are put around everything between two weighted layers, which back
ends turn into int8 kernels. Weights are symmetric, one scale a channel, and have seven bits: CPUs
without VNNI add pairs of products in sixteen bits, which eight overflow. Activations have eight.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from onnxruntime.quantization import (
    CalibrationMethod,
    QuantType,
    TensorsData,
    quant_pre_process,
    quantize_static,
    save_tensors_data,
)

from export.convert.parts import ModelParts, layer_of
from export.quantise.bias import correct_biases
from export.quantise.calibration import Observed, observe
from runtime.preprocess.inputs import Inputs

WEIGHTED, LINEAR = ("Conv", "Gemm"), "MatMul"
# What such a layer reads: its input, its weight, its bias.
INPUTS_WITH_BIAS = 3
# Everything between two weighted layers, so that activations stay in eight bits all the way.
BETWEEN = ("Add", "Relu", "MaxPool", "AveragePool", "Flatten")
OPERATIONS = [*WEIGHTED, LINEAR, *BETWEEN]
# What lies between a network's last features and the vote.
TAIL = (
    "Softmax",
    "LogSoftmax",
    "Concat",
    "Flatten",
    "Reshape",
    "Identity",
    "GlobalAveragePool",
    "ReduceMean",
)


class CalibratedModel:
    """The streams of an fp32 classifier, each calibrated on the same tiles from `to_input`, one by
    one, so that none of its fp32 needs one file.

    `layers` are the names, in the joined model, of what can become int8.
    """

    def __init__(self, parts: ModelParts, examples: list[Inputs]) -> None:
        self.parts = parts
        classes = _classes(parts.tail)
        self._streams = {
            name: CalibratedStream(model, examples, classes=classes)
            for name, model in parts.streams.items()
        }
        self._places = {
            layer_of(name, layer): (name, layer)
            for name, stream in self._streams.items()
            for layer in stream.layers
        }
        self.layers = tuple(self._places)

    def int8(self, *, keep: Collection[str] = ()) -> bytes:
        """Return the joined int8 model, with the layers named in `keep` and the tail in fp32.

        Raises ModelRefused when even that is too large for one file.
        """
        kept: dict[str, list[str]] = {name: [] for name in self._streams}
        for joined_name in keep:
            name, layer = self._places[joined_name]
            kept[name].append(layer)
        streams = {name: one.int8(keep=kept[name]) for name, one in self._streams.items()}
        return ModelParts(streams=streams, tail=self.parts.tail).joined()

    def only(self, layer: str) -> bytes:
        """Return the stream that has this layer, with no other in int8."""
        name, own = self._places[layer]
        return self._streams[name].only(own)


class CalibratedStream:
    """An fp32 stream with its tensors' ranges and means, quantised as often as asked.

    `layers` are the names of its weighted nodes outside the tail, in the graph's order.
    """

    def __init__(self, model: bytes, examples: list[Inputs], *, classes: int) -> None:
        self._prepared = _prepared(model)
        self._model = onnx.load_model_from_string(self._prepared)
        graph = self._model.graph
        self._tail = fp32_tail(graph, classes=classes)
        self.layers = [name for name in _weighted(graph) if name not in self._tail]
        self._others = _others(graph)
        seen = Observed(ranges={}, means={})
        if self.layers:
            seen = observe(self._model, examples, operations=OPERATIONS)
        self._ranges, self._means = TensorsData(CalibrationMethod.MinMax, seen.ranges), seen.means

    def int8(self, *, keep: Collection[str] = ()) -> bytes:
        """Return the int8 stream, with the layers named in `keep` left in fp32: their weights and
        sums, while what they read from int8 layers still has eight bits.
        """
        return self._quantised(leave={*self._tail, *self._others, *keep})

    def only(self, layer: str) -> bytes:
        """Return the stream with this one layer in int8."""
        return self._quantised(only=[layer])

    def _quantised(self, *, leave: Collection[str] = (), only: Collection[str] = ()) -> bytes:
        if not self.layers:  # A linear machine is all tail.
            return self._prepared
        with tempfile.TemporaryDirectory() as name:
            source, ranges, out = (Path(name) / one for one in ("fp32", "ranges", "int8"))
            source.write_bytes(self._prepared)
            # The library's public way of being given ranges: a calibration that it finds done.
            save_tensors_data(self._ranges, ranges)
            quantize_static(
                source,
                out,
                calibration_cache_path=ranges,
                op_types_to_quantize=OPERATIONS,
                nodes_to_quantize=sorted(only),
                nodes_to_exclude=sorted(leave),
                per_channel=True,
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                # What a layer without a bias gives is read by more than the next layer.
                extra_options={"OpTypesToExcludeOutputQuantization": [LINEAR]},
            )
            quantised = onnx.load(out)
        correct_biases(quantised, self._model, self._means, layers=self.layers)
        return bytes(quantised.SerializeToString())


def to_int8(parts: ModelParts, examples: list[Inputs]) -> bytes:
    """Return the joined model in int8, all of it but the tail, unjudged; see `quantise` for the
    gate. `examples` are single tiles from `to_input`.
    """
    return CalibratedModel(parts, examples).int8()


def fp32_tail(graph: onnx.GraphProto, *, classes: int) -> set[str]:
    """Return the names of the nodes that turn a stream's features into its vote.

    They are found by going back from the vote through pooling, softmax and every layer as wide
    as the classes. They cost next to nothing, and eight bits of a logit or of a mean are few.
    """
    widths = {tensor.name: _outputs(tensor) for tensor in graph.initializer}
    makers = {output: node for node in graph.node for output in node.output}
    tail: set[str] = set()
    left = [graph.output[0].name]
    while left:
        node = makers.get(left.pop())
        if node is None or node.name in tail:
            continue
        narrow = node.op_type in WEIGHTED and widths.get(node.input[1]) == classes
        if node.op_type in TAIL or narrow:
            tail.add(node.name)
            left += node.input
    return tail


def _weighted(graph: onnx.GraphProto) -> list[str]:
    """Return the names of the nodes that have a weight: convolutions, fully connected layers, those
    over a sequence among them.
    """
    constant = {tensor.name for tensor in graph.initializer}
    return [
        node.name
        for node in graph.node
        if node.op_type in WEIGHTED or (node.op_type == LINEAR and node.input[1] in constant)
    ]


def _others(graph: onnx.GraphProto) -> set[str]:
    """Return the names of nodes that could be int8 and do not lie between weighted layers.

    They add to what was normalised, or a constant, or multiply two activations: eight bits there
    would save next to nothing.
    """
    layers = set(_weighted(graph))
    within, others = set[str](), set[str]()
    for node in graph.node:
        between = node.op_type in BETWEEN and set(node.input) <= within
        if between or (node.name in layers and node.op_type in WEIGHTED):
            within |= set(node.output)
        elif node.op_type in OPERATIONS and node.name not in layers:
            others.add(node.name)
    return others


def _prepared(model: bytes) -> bytes:
    """Return the stream with every tensor's shape, marked as the quantiser wants it, and a bias in
    every layer, which can take back what rounding does.
    """
    graph = onnx.load_model_from_string(model)
    _add_biases(graph.graph)
    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / "prepared"
        quant_pre_process(
            graph,
            out,
            skip_optimization=True,
            skip_symbolic_shape=True,
        )
        return out.read_bytes()


def _add_biases(graph: onnx.GraphProto) -> None:
    widths = {tensor.name: _outputs(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type in WEIGHTED and len(node.input) < INPUTS_WITH_BIAS:
            zeros = np.zeros(widths[node.input[1]], dtype=np.float32)
            name = f"{node.output[0]}:bias"
            graph.initializer.append(numpy_helper.from_array(zeros, name))
            node.input.append(name)


def _outputs(weight: onnx.TensorProto) -> int:
    """Return how many outputs a convolution or fully connected layer with this weight has."""
    return int(weight.dims[0]) if weight.dims else 0


def _classes(tail: bytes) -> int:
    shape = onnx.load_model_from_string(tail).graph.output[0].type.tensor_type.shape
    return int(shape.dim[1].dim_value)
