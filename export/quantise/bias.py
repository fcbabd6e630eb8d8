"""Take back the mean shift that rounding its weights gives to every output of a layer.

Rounding errors of thousands of weights do not cancel where inputs have a mean, as they have after
a ReLU: each output is off by (W - W_int8) E[x] on average, and layer after layer it adds up. The
integer bias takes it back at no cost on the device (Nagel et al. 2019, section 4.2,
doi:10.1109/ICCV.2019.00141, with E[x] measured on the calibration tiles).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper
from onnx.helper import make_node, make_tensor_value_info

from export.quantise.layers import WEIGHTED
from export.quantise.votes import stream_session
from runtime.preprocess.inputs import Inputs

Means = Mapping[str, NDArray[np.float64]]
MEAN = "mean:"


def input_means(model: onnx.ModelProto, examples: list[Inputs]) -> Means:
    """Return by tensor, for all that feed a weighted layer of a stream, the (channels,) mean over
    the examples and positions.
    """
    read = sorted({node.input[0] for node in model.graph.node if node.op_type in WEIGHTED})
    session = stream_session(_with_means(model, read), threads=2)
    (entry,) = session.get_inputs()
    sums = [np.zeros(()) for _ in read]
    for example in examples:
        found = session.run([MEAN + name for name in read], {entry.name: example[entry.name]})
        sums = [total + np.asarray(one, np.float64) for total, one in zip(sums, found, strict=True)]
    return {name: total / len(examples) for name, total in zip(read, sums, strict=True)}


def correct_biases(quantised: onnx.ModelProto, fp32: onnx.ModelProto, means: Means) -> None:
    """Change the integer biases of the int8 layers in place; the border's zeros are neglected."""
    rounded = {one.name: one for one in quantised.graph.initializer}
    exact = {one.name: one for one in fp32.graph.initializer}
    for node in fp32.graph.node:
        if node.op_type not in WEIGHTED or f"{node.input[1]}_quantized" not in rounded:
            continue
        weight, bias = node.input[1], rounded[f"{node.input[2]}_quantized"]
        scale, step = (
            numpy_helper.to_array(rounded[f"{name}_scale"]).astype(np.float64)
            for name in (weight, bias.name)
        )
        shift = _mean_output(exact[weight], means[node.input[0]])
        shift -= scale * _mean_output(rounded[f"{weight}_quantized"], means[node.input[0]])
        corrected = numpy_helper.to_array(bias) + np.rint(shift / step).astype(np.int32)
        bias.CopyFrom(numpy_helper.from_array(corrected, bias.name))


def _mean_output(weight: TensorProto, mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what a layer with this (out, in, ...) weight gives for a constant, without bias."""
    values = numpy_helper.to_array(weight)
    taps = values.reshape(*values.shape[:2], -1).sum(axis=2, dtype=np.float32)
    return np.asarray(taps @ mean.astype(np.float32), dtype=np.float64)


def _with_means(model: onnx.ModelProto, tensors: list[str]) -> bytes:
    """Return the stream with these tensors' means over all but the channels as its outputs."""
    probed = onnx.ModelProto()
    probed.CopyFrom(model)
    images = {node.input[0] for node in model.graph.node if node.op_type == "Conv"}
    del probed.graph.output[:]
    for name in tensors:
        axes = [0, 2, 3] if name in images else [0]
        mean = make_node("ReduceMean", [name], [MEAN + name], axes=axes, keepdims=0)
        probed.graph.node.append(mean)
        probed.graph.output.append(make_tensor_value_info(MEAN + name, TensorProto.FLOAT, None))
    return bytes(probed.SerializeToString())
