"""Cut an OpenVINO graph at its votes: one model per stream, and the rest that joins them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import openvino
from openvino import opset13

from runtime.inference.session import VOTE


@dataclass(frozen=True, slots=True)
class Cut:
    """The streams' models, the rest's inputs that take their outputs, in order, and the rest."""

    streams: tuple[openvino.Model, ...]
    votes: tuple[str, ...]
    rest: openvino.Model


def cut_at_votes(graph: openvino.Model) -> Cut:
    """Return the pieces of a graph whose tensors named "vote:..." end its streams.

    The graph is used up. Raises RuntimeError when it has no votes, or the scores do not follow
    from them alone.
    """
    streams, votes, entries = [], [], []
    for vote in _votes(graph):
        name = next(name for name in vote.get_names() if name.startswith(VOTE))
        readers = vote.get_target_inputs()
        streams.append(openvino.Model([vote], _inputs_of(vote, graph), name))
        entry = opset13.parameter(vote.get_shape(), vote.get_element_type())
        entry.output(0).get_tensor().set_names({name})
        for reader in readers:
            reader.replace_source_output(entry.output(0))
        votes.append(name)
        entries.append(entry)
    if not streams:
        raise RuntimeError("the graph has no streams to run side by side")
    return Cut(tuple(streams), tuple(votes), openvino.Model(graph.get_results(), entries, "rest"))


def _votes(graph: openvino.Model) -> list[Any]:
    return [
        output
        for operation in graph.get_ordered_ops()
        for output in operation.outputs()
        if any(name.startswith(VOTE) for name in output.get_names())
    ]


def _inputs_of(vote: Any, graph: openvino.Model) -> list[Any]:
    """Return those of the graph's parameters that the vote depends on."""
    seen: set[str] = set()
    left = [vote.get_node()]
    while left:
        node = left.pop()
        name = node.get_friendly_name()
        if name not in seen:
            seen.add(name)
            left += [port.get_source_output().get_node() for port in node.inputs()]
    return [entry for entry in graph.get_parameters() if entry.get_friendly_name() in seen]
