"""Static int8 quantisation, calibrated through the runtime's own preprocessing, behind a gate."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from runtime.errors import ModelRefused
from runtime.preprocess.inputs import Inputs

# How much accuracy int8 may lose against fp32 on the validation examples.
GATE = 0.003


class _Reader(CalibrationDataReader):
    def __init__(self, examples: list[Inputs]) -> None:
        self._left: Iterator[Inputs] = iter(examples)

    def get_next(self) -> Inputs | None:
        return next(self._left, None)


def quantise(model: bytes, examples: list[Inputs]) -> bytes:
    """Return the model with its convolutions in int8 (QDQ), which both back ends read.

    Weights are per channel and symmetric; the few operations after them stay in fp32. `examples`
    are single tiles from `to_input`.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "fp32.onnx", Path(folder) / "int8.onnx"
        source.write_bytes(model)
        quantize_static(
            source,
            target,
            _Reader(examples),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "Relu"],
            per_channel=True,
            # Seven-bit weights: on CPUs without VNNI, u8 x s8 sums saturate with eight.
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        return target.read_bytes()


def check_gate(*, fp32_accuracy: float, int8_accuracy: float) -> None:
    """Raise ModelRefused when int8 lost too much."""
    if int8_accuracy < fp32_accuracy - GATE:
        raise ModelRefused(
            "int8 loses too much accuracy on the validation examples",
            value=f"{int8_accuracy:.4f} against {fp32_accuracy:.4f}",
            limit=f"{GATE:.3f} below fp32",
            remedy="train longer, or calibrate with more examples",
        )
