"""Cut an OpenVINO graph into branches: one model for each, and the rest that joins them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import openvino
from openvino import opset13


@dataclass(frozen=True, slots=True)
class Cut:
    """The branches' models, the rest's inputs that take their outputs, in order, and the rest."""

    branches: tuple[openvino.Model, ...]
    names: tuple[str, ...]
    rest: openvino.Model


def cut_at(graph: openvino.Model, tensors: Collection[str]) -> Cut:
    """Return the pieces of a graph whose branches end in the named tensors.

    The graph is used up. Raises RuntimeError when it makes no such tensor, or its outputs do not
    follow from those tensors alone.
    """
    branches, names, entries = [], [], []
    for end in _ends(graph, tensors):
        name = next(name for name in end.get_names() if name in tensors)
        readers = end.get_target_inputs()
        branches.append(openvino.Model([end], _inputs_of(end, graph), name))
        entry = opset13.parameter(end.get_shape(), end.get_element_type())
        entry.output(0).get_tensor().set_names({name})
        for reader in readers:
            reader.replace_source_output(entry.output(0))
        names.append(name)
        entries.append(entry)
    absent = set(tensors) - set(names)
    if absent or not names:
        raise RuntimeError(f"the graph has no branches to cut at {', '.join(absent) or 'nothing'}")
    return Cut(tuple(branches), tuple(names), openvino.Model(graph.get_results(), entries, "rest"))


def _ends(graph: openvino.Model, tensors: Collection[str]) -> list[Any]:
    return [
        output
        for operation in graph.get_ordered_ops()
        for output in operation.outputs()
        if any(name in tensors for name in output.get_names())
    ]


def _inputs_of(end: Any, graph: openvino.Model) -> list[Any]:
    """Return those of the graph's parameters that the end of a branch depends on."""
    seen: set[str] = set()
    left = [end.get_node()]
    while left:
        node = left.pop()
        name = node.get_friendly_name()
        if name not in seen:
            seen.add(name)
            left += [port.get_source_output().get_node() for port in node.inputs()]
    return [entry for entry in graph.get_parameters() if entry.get_friendly_name() in seen]
