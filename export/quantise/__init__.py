"""Static int8 quantisation (QDQ), calibrated through the runtime's own preprocessing and gated."""

from export.quantise.gate import GATE, Quantised, quantise
from export.quantise.qdq import Calibrated, to_int8
from export.quantise.validation import Validation

__all__ = ["GATE", "Calibrated", "Quantised", "Validation", "quantise", "to_int8"]
