"""From a fitted classifier to ONNX that holds everything, SVM and calibration included."""

from __future__ import annotations

import io
import warnings

import onnx
import torch
from torch import Tensor, nn

from export.convert.parts import VOTE, Parts
from export.networks.fusion import FusedClassifier, Fusion, input_of, vote
from runtime.preprocess.inputs import Inputs
from runtime.tasks.classify.record import SCORES

OPSET = 17


def to_parts(classifier: FusedClassifier, example: Inputs) -> Parts:
    """Return the classifier as ONNX for one tile at a time, weights inside, stream by stream.

    Inputs carry the names of the classifier's inputs; batch normalisation is folded. What a
    stream says is the tensor "vote:<stream>", (1, v).
    """
    classifier.eval()
    votes: dict[str, Tensor] = {}
    streams: dict[str, bytes] = {}
    for name, network in classifier.streams.items():
        entry = input_of(name)
        images = torch.from_numpy(example[entry])
        stream = _Stream(network, classifier.kind).eval()
        with torch.no_grad():
            votes[VOTE + name] = stream(images)
        streams[name] = _exported(stream, {entry: images}, VOTE + name)
    return Parts(streams=streams, tail=_exported(_Tail(classifier.fuse).eval(), votes, SCORES))


class _Stream(nn.Module):
    """From a stream's images to its vote."""

    def __init__(self, network: nn.Module, kind: Fusion) -> None:
        super().__init__()
        self.network, self.kind = network, kind

    def forward(self, images: Tensor) -> Tensor:
        return vote(self.network, images, self.kind)


class _Tail(nn.Module):
    """From the votes to the scores."""

    def __init__(self, fuse: nn.Linear) -> None:
        super().__init__()
        self.fuse = fuse

    def forward(self, *votes: Tensor) -> Tensor:
        said = votes[0] if len(votes) == 1 else torch.cat(votes, dim=1)
        return torch.softmax(self.fuse(said), dim=1)


def _exported(module: nn.Module, inputs: dict[str, Tensor], output: str) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The tracing exporter folds batch normalisation and needs no onnxscript; torch announces
        # its retirement on every call. It also warns that sizes become constants: they shall.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        torch.onnx.export(
            module,
            tuple(inputs.values()),
            buffer,
            input_names=list(inputs),
            output_names=[output],
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load_model_from_string(buffer.getvalue())
    _own_constants(model.graph)
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
