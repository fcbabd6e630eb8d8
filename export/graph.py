"""From a fitted classifier to an ONNX file that holds everything, SVM and calibration included."""

from __future__ import annotations

import io
import warnings

import onnx
import torch

from export.fusion import FusedClassifier
from runtime.inference.session import OUTPUT
from runtime.preprocess.inputs import Inputs

OPSET = 17
VOTE = "vote:"


def to_onnx(classifier: FusedClassifier, example: Inputs) -> bytes:
    """Return the classifier as ONNX for one tile at a time, weights inside.

    Inputs carry the names of the classifier's inputs; batch normalisation is folded. Where
    streams are joined, what each says is the tensor "vote:<stream>", (1, v): a back end may cut
    the graph there and run the streams side by side.
    """
    classifier.eval()
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The tracing exporter folds batch normalisation and needs no onnxscript; torch announces
        # its retirement on every call.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            classifier,
            tuple(torch.from_numpy(example[name]) for name in classifier.inputs),
            buffer,
            input_names=list(classifier.inputs),
            output_names=[OUTPUT],
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load_model_from_string(buffer.getvalue())
    if len(classifier.streams) > 1:
        _name_votes(model.graph, list(classifier.streams))
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _name_votes(graph: onnx.GraphProto, streams: list[str]) -> None:
    """Rename what the last concatenation joins; it does so in the order of the streams."""
    joined = [node for node in graph.node if node.op_type == "Concat"][-1]
    names = dict(zip(joined.input, (VOTE + stream for stream in streams), strict=True))
    for node in graph.node:
        for tensors in (node.input, node.output):
            tensors[:] = [names.get(name, name) for name in tensors]
