"""Static int8 quantisation (QDQ), calibrated through the runtime's own preprocessing and gated."""

from export.quantise.calibrated import Calibrated, to_int8
from export.quantise.gate import GATE, Quantised, quantise
from export.quantise.identity import quantiser_digest
from export.quantise.validation import Validation
from export.quantise.votes import part_scores

__all__ = [
    "GATE",
    "Calibrated",
    "Quantised",
    "Validation",
    "part_scores",
    "quantise",
    "quantiser_digest",
    "to_int8",
]
