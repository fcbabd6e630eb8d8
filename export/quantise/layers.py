"""Which nodes of a stream's graph are worth int8, and which are its fp32 tail."""

from __future__ import annotations

import onnx

WEIGHTED = ("Conv", "Gemm")
# What lies between a network's last features and the vote.
TAIL = ("Softmax", "Concat", "Flatten", "Reshape", "Identity", "GlobalAveragePool", "ReduceMean")


def quantisable_layers(graph: onnx.GraphProto, *, classes: int) -> list[str]:
    """Return the names of the weighted nodes outside the tail, in the graph's order."""
    tail = fp32_tail(graph, classes=classes)
    return [node.name for node in graph.node if node.op_type in WEIGHTED and node.name not in tail]


def fp32_tail(graph: onnx.GraphProto, *, classes: int) -> set[str]:
    """Return the names of the nodes that turn a stream's features into its vote.

    They are found by going back from the vote through pooling, softmax and every layer as wide
    as the classes. They cost next to nothing, and eight bits of a logit or of a mean are few.
    """
    widths = {tensor.name: _outputs(tensor) for tensor in graph.initializer}
    makers = {output: node for node in graph.node for output in node.output}
    tail: set[str] = set()
    left = [graph.output[0].name]
    while left:
        node = makers.get(left.pop())
        if node is None or node.name in tail:
            continue
        narrow = node.op_type in WEIGHTED and widths.get(node.input[1]) == classes
        if node.op_type in TAIL or narrow:
            tail.add(node.name)
            left += node.input
    return tail


def _outputs(weight: onnx.TensorProto) -> int:
    """Return how many outputs a convolution or fully connected layer with this weight has."""
    return int(weight.dims[0]) if weight.dims else 0
