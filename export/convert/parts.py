"""A classifier as several ONNX models, since one file holds no more than 2 GiB; and their joining.

Protobuf counts a message's bytes in 31 bits, https://protobuf.dev/programming-guides/proto-limits/.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import onnx

from runtime.errors import ModelRefused

LARGEST_BYTES = 2**31
# What a stream says, as a tensor of the graph: "vote:" and the stream. The device may cut there.
VOTE = "vote:"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelParts:
    """The streams by name, each an ONNX model from its input to "vote:<stream>", (1, v), and the
    tail: the ONNX model from all votes to "scores", (1, classes).
    """

    streams: dict[str, bytes]
    tail: bytes

    @property
    def size_bytes(self) -> int:
        """Return how large the joined model would be, but for a few names."""
        return sum(map(len, self.streams.values())) + len(self.tail)

    def fit_one_file(self) -> bool:
        """Return whether they can be joined."""
        return self.size_bytes < LARGEST_BYTES

    def digest(self) -> str:
        """Return the SHA-256 of all parts and the streams' names, as hexadecimal digits."""
        found = hashlib.sha256(self.tail)
        for name, model in self.streams.items():
            found.update(name.encode() + hashlib.sha256(model).digest())
        return found.hexdigest()

    def joined(self) -> bytes:
        """Return one ONNX model from the inputs to the scores.

        Names of nodes and tensors get their stream's name and a colon in front, except inputs,
        which streams may share, and votes: a back end may cut the graph there and run the streams
        side by side. Raises ModelRefused for parts that one ONNX file cannot hold.
        """
        if not self.fit_one_file():
            raise ModelRefused(
                "too large for one ONNX file",
                value=f"{self.size_bytes / 1e9:.2f} GB",
                limit=f"{LARGEST_BYTES / 1e9:.2f} GB, protobuf's",
                remedy="join fewer streams, or a smaller architecture",
            )
        whole = onnx.load_model_from_string(self.tail)
        tail = onnx.GraphProto()
        tail.CopyFrom(whole.graph)
        del whole.graph.node[:], whole.graph.input[:]
        for stream, content in self.streams.items():
            part = onnx.load_model_from_string(content)
            _prefix(part.graph, stream)
            _add(whole, part)
        whole.graph.node.extend(tail.node)
        onnx.checker.check_model(whole)
        return bytes(whole.SerializeToString())


def layer_of(stream: str, node: str) -> str:
    """Return the name in the joined model of a stream's node or inner tensor."""
    return f"{stream}:{node}"


def _add(whole: onnx.ModelProto, part: onnx.ModelProto) -> None:
    """Append a stream's nodes and weights, and what it needs that is not there yet."""
    whole.graph.node.extend(part.graph.node)
    whole.graph.initializer.extend(part.graph.initializer)
    known = {entry.name for entry in whole.graph.input}
    whole.graph.input.extend(entry for entry in part.graph.input if entry.name not in known)
    domains = {opset.domain for opset in whole.opset_import}
    whole.opset_import.extend(one for one in part.opset_import if one.domain not in domains)
    whole.ir_version = max(whole.ir_version, part.ir_version)


def _prefix(graph: onnx.GraphProto, stream: str) -> None:
    ends = {entry.name for entry in (*graph.input, *graph.output)}
    for tensor in graph.initializer:
        tensor.name = layer_of(stream, tensor.name)
    for node in graph.node:
        node.name = layer_of(stream, node.name)
        node.input[:] = _renamed(node.input, stream, ends)
        node.output[:] = _renamed(node.output, stream, ends)


def _renamed(names: Iterable[str], stream: str, ends: set[str]) -> list[str]:
    """Return inner names prefixed; an optional input that is absent has the empty name."""
    return [name if not name or name in ends else layer_of(stream, name) for name in names]
