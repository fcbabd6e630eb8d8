"""Put pairs of quantise and dequantise into a stream: what back ends turn into int8 kernels."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import onnx
from onnxruntime.quantization import CalibrationMethod, QuantType
from onnxruntime.quantization.calibrate import TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.quant_utils import add_infer_metadata

from export.quantise.bias import correct_biases
from export.quantise.layers import fp32_tail, quantisable_layers
from export.quantise.observed import observe
from export.quantise.ranges import best_range
from runtime.preprocess.inputs import Inputs

# Everything between two weighted layers, so that activations stay in eight bits all the way.
OPERATIONS = ["Conv", "Gemm", "Add", "Relu", "MaxPool", "AveragePool", "Flatten"]


class CalibratedStream:
    """An fp32 stream with its tensors' ranges and means, quantised as often as asked."""

    def __init__(self, model: bytes, examples: list[Inputs], *, classes: int) -> None:
        known = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(model))
        # Else every quantisation takes the model through a file to infer them again.
        add_infer_metadata(known)
        self._tail = fp32_tail(known.graph, classes=classes)
        self.layers = quantisable_layers(known.graph, classes=classes)
        observed = observe(known, examples, operations=OPERATIONS)
        self._ranges = {name: best_range(tiles) for name, tiles in observed.histograms.items()}
        self._means = observed.means
        self._model = known

    def int8(self, *, keep: Collection[str] = ()) -> bytes:
        """Return the int8 stream, with the layers named in `keep` left in fp32: their weights and
        sums, while what they read from int8 layers still has eight bits.

        Weights are symmetric, one scale a channel, and have seven bits: CPUs without VNNI add
        pairs of products in sixteen bits, which eight overflow. Activations have eight bits.
        """
        return self._quantised(exclude={*self._tail, *keep})

    def only(self, layer: str) -> bytes:
        """Return the stream with this one layer in int8."""
        return self._quantised(exclude=set(), only=[layer])

    def _quantised(self, *, exclude: set[str], only: list[str] | None = None) -> bytes:
        quantiser: Any = QDQQuantizer(
            _copy(self._model),
            per_channel=True,
            reduce_range=True,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QUInt8,
            tensors_range=TensorsData(CalibrationMethod.MinMax, dict(self._ranges)),
            nodes_to_quantize=only or [],
            nodes_to_exclude=sorted(exclude),
            op_types_to_quantize=OPERATIONS,
            extra_options={},
        )
        quantiser.quantize_model()
        quantiser.model.topological_sort()
        quantised: onnx.ModelProto = quantiser.model.model
        correct_biases(quantised, self._model, self._means)
        return bytes(quantised.SerializeToString())


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    return copied
