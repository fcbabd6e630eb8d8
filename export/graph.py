"""From the trained fusion to an ONNX file that holds everything, SVM and calibration included."""

from __future__ import annotations

import io
import warnings

import torch

from export.fusion import LateFusion
from runtime.inference.session import OUTPUT
from runtime.preprocess.inputs import Inputs

OPSET = 17


def to_onnx(fusion: LateFusion, example: Inputs) -> bytes:
    """Return the network as ONNX for one tile at a time, weights inside, inputs named as given."""
    fusion.eval()
    names = list(fusion.streams)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The tracing exporter folds batch normalisation and needs no onnxscript; torch announces
        # its retirement on every call.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            fusion,
            tuple(torch.from_numpy(example[name]) for name in names),
            buffer,
            input_names=names,
            output_names=[OUTPUT],
            opset_version=OPSET,
            dynamo=False,
        )
    return buffer.getvalue()
