"""Correct the mean shift that rounding a layer's weights gives to each of its outputs.

Rounding errors of thousands of weights do not cancel where inputs have a mean, as they have after a
ReLU: each output is off by (W - W_int8) E[x] on average, and layer after layer it adds up. The
integer bias takes it back at no cost on the device (Nagel et al. 2019, section 4.2,
doi:10.1109/ICCV.2019.00141, with E[x] measured on the calibration tiles).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

# What a layer with a bias reads.
BIASED = 3

Means = Mapping[str, NDArray[np.float64]]


def correct_biases(
    quantised: onnx.ModelProto, fp32: onnx.ModelProto, means: Means, *, layers: list[str]
) -> None:
    """Change the integer biases of the int8 layers in place. `means` are, by tensor, the
    (channels,) means of what the layers read. The zeros that pad the border are neglected.
    """
    held = {one.name: one for one in quantised.graph.initializer}
    exact = {one.name: one for one in fp32.graph.initializer}
    original = {node.name: node for node in fp32.graph.node}
    # What reads an integer constant, by the tensor that it makes of it.
    readings = {
        node.output[0]: node
        for node in quantised.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in held
    }
    for node in quantised.graph.node:
        if node.name not in layers or len(node.input) < BIASED or node.input[1] not in readings:
            continue
        weight, bias = (readings[name] for name in node.input[1:3])
        scale, step = (_steps(held[reading.input[1]]) for reading in (weight, bias))
        read, exact_weight = original[node.name].input[:2]
        shift = _mean_output(exact[exact_weight], means[read])
        shift -= scale * _mean_output(held[weight.input[0]], means[read])
        rounded = held[bias.input[0]]
        corrected = numpy_helper.to_array(rounded) + np.rint(shift / step).astype(np.int32)
        rounded.CopyFrom(numpy_helper.from_array(corrected, rounded.name))


def _steps(scale: TensorProto) -> NDArray[np.float64]:
    return np.asarray(numpy_helper.to_array(scale), dtype=np.float64)


def _mean_output(weight: TensorProto, mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what a layer with this (out, in, ...) weight gives for a constant, without bias."""
    values = numpy_helper.to_array(weight)
    taps = values.reshape(*values.shape[:2], -1).sum(axis=2, dtype=np.float32)
    return np.asarray(taps @ mean.astype(np.float32), dtype=np.float64)
