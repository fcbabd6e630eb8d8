"""From a fitted classifier to an ONNX file that holds everything, SVM and calibration included."""

from __future__ import annotations

import io
import warnings

import onnx
import torch

from export.fusion import FusedClassifier
from runtime.inference.session import OUTPUT, VOTE
from runtime.preprocess.inputs import Inputs

OPSET = 17


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
        # its retirement on every call. It also warns that sizes become constants: they shall.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
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
    _own_constants(model.graph)
    if len(classifier.streams) > 1:
        _name_votes(model.graph, list(classifier.streams))
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _own_constants(graph: onnx.GraphProto) -> None:
    """Give every layer its own weights where the exporter let layers share equal ones through an
    Identity: quantisation knows a bias by its being a constant, and scales it for one layer.
    """
    constants = {tensor.name: tensor for tensor in graph.initializer}
    shared = [n for n in graph.node if n.op_type == "Identity" and n.input[0] in constants]
    for node in shared:
        own = graph.initializer.add()
        own.CopyFrom(constants[node.input[0]])
        own.name = node.output[0]
        graph.node.remove(node)


def _name_votes(graph: onnx.GraphProto, streams: list[str]) -> None:
    """Rename what the last concatenation joins; it does so in the order of the streams."""
    joined = [node for node in graph.node if node.op_type == "Concat"][-1]
    names = dict(zip(joined.input, (VOTE + stream for stream in streams), strict=True))
    for node in graph.node:
        for tensors in (node.input, node.output):
            tensors[:] = [names.get(name, name) for name in tensors]
