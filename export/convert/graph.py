"""From a network to ONNX; of a fitted classifier, SVM and calibration included."""

from __future__ import annotations

import copy
import logging
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from export.convert.parts import VOTE, ModelParts
from export.networks.fusion import FusedClassifier, Fusion, input_of, vote
from runtime.preprocess.inputs import Inputs
from runtime.tasks.classify.record import SCORES

# The exporter's own: for an older one it would write the graph anew.
OPSET = 18
WEIGHTED, WEIGHT = ("Conv", "Gemm"), ".weight"


def to_parts(classifier: FusedClassifier, example: Inputs) -> ModelParts:
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
        streams[name] = to_onnx(stream, {entry: images}, [VOTE + name])
    return ModelParts(streams=streams, tail=to_onnx(_Tail(classifier.fuse), votes, [SCORES]))


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


def to_onnx(network: nn.Module, inputs: Mapping[str, Tensor], outputs: Sequence[str]) -> bytes:
    """Return a network as ONNX for inputs of these very shapes, its tensors named as given.

    `forward` takes the inputs in their order and returns as many tensors as there are outputs.
    Weights are inside, batch normalisation is folded, and a layer that has a weight is called after
    it. The file says nothing of the machine it was made on.
    """
    # Of weights laid out channels last the exporter makes gathers that reorder nothing.
    plain = copy.deepcopy(network).to(memory_format=torch.contiguous_format).eval()
    with _exporter_silent():
        program = torch.onnx.export(
            plain,
            tuple(inputs.values()),
            input_names=list(inputs),
            output_names=list(outputs),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    _forget_origins(model)
    _turn_constants(model.graph)
    _own_constants(model.graph)
    _name_layers(model.graph)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


@contextmanager
def _exporter_silent() -> Iterator[None]:
    """Keep back what the exporter says of itself: that torchvision, of which no network here needs
    anything, is not installed, and that torch's own code calls what torch deprecates.
    """
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*LeafSpec.* is deprecated", FutureWarning)
            yield
    finally:
        log.setLevel(level)


def _forget_origins(model: onnx.ModelProto) -> None:
    """Drop the exporter's notes: stack traces with the paths of whoever exported, and shapes that
    stand under names which joining changes.
    """
    graph = model.graph
    for holder in (model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        del holder.metadata_props[:]
        holder.doc_string = ""
    del graph.value_info[:]


def _turn_constants(graph: onnx.GraphProto) -> None:
    """Keep a weight as it is read: the exporter has every fully connected layer of a sequence turn
    its own, so that no quantiser takes it for a constant.
    """
    constants = {tensor.name: tensor for tensor in graph.initializer}
    read = Counter(name for node in graph.node for name in node.input)
    for node in [one for one in graph.node if one.op_type == "Transpose"]:
        weight = constants.get(node.input[0])
        if weight is None or read[weight.name] > 1 or node.output[0] in _said(graph):
            continue
        axes = {one.name: one.ints for one in node.attribute}["perm"]
        turned = numpy_helper.to_array(weight).transpose(axes)
        weight.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(turned), weight.name))
        for reader in graph.node:
            for place, name in enumerate(reader.input):
                if name == node.output[0]:
                    reader.input[place] = weight.name
        graph.node.remove(node)


def _said(graph: onnx.GraphProto) -> set[str]:
    return {output.name for output in graph.output}


def _own_constants(graph: onnx.GraphProto) -> None:
    """Give every layer weights and a bias of its own: the exporter lets layers share equal ones
    and leaves out a bias of zeros, while quantisation scales and corrects one bias a layer.
    """
    constants = {tensor.name: tensor for tensor in graph.initializer}
    taken: set[str] = set()
    for node in (one for one in graph.node if one.op_type in WEIGHTED):
        if len(node.input) == 2:
            zeros = np.zeros(constants[node.input[1]].dims[0], dtype=np.float32)
            graph.initializer.append(numpy_helper.from_array(zeros, f"{node.name}:bias"))
            node.input.append(f"{node.name}:bias")
        for place, name in enumerate(node.input):
            if name in constants and name in taken:
                own = graph.initializer.add()
                own.CopyFrom(constants[name])
                own.name = node.input[place] = f"{name}:{node.name}"
            taken.add(name)


def _name_layers(graph: onnx.GraphProto) -> None:
    """Call a layer as the network does: "network.stages.0.0" has the weight of that name."""
    for node in graph.node:
        weight = node.input[1] if node.op_type in WEIGHTED else ""
        if weight.endswith(WEIGHT):
            node.name = weight.removesuffix(WEIGHT)
