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

from export.quantise.layers import WEIGHTED

Means = Mapping[str, NDArray[np.float64]]


def correct_biases(quantised: onnx.ModelProto, fp32: onnx.ModelProto, means: Means) -> None:
    """Change the integer biases of the int8 layers in place; the border's zeros are neglected.

    `means` are, by tensor, the (channels,) means of what the layers read.
    """
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
