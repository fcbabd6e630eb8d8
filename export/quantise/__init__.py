"""Static int8 quantisation (QDQ), calibrated through the runtime's own preprocessing and gated."""

from export.quantise.gate import Judge, Quantised, quantise
from export.quantise.integer import CalibratedModel, to_int8
from export.quantise.outputs import model_outputs, part_outputs

__all__ = [
    "CalibratedModel",
    "Judge",
    "Quantised",
    "model_outputs",
    "part_outputs",
    "quantise",
    "to_int8",
]
