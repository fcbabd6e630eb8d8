"""A trained network for defocus as the device runs it: streams that may become int8, then the head.

The head stays in fp32: eight bits of a defocus are a third of a micrometre each.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from export.convert.graph import to_onnx
from export.convert.parts import VOTE, ModelParts
from export.networks.defocus.network import DefocusNetwork
from export.tasks.focus.config import FocusConfig
from runtime.tasks.focus.record import DEFOCUS, SPREAD


def to_focus_parts(network: DefocusNetwork, config: FocusConfig) -> ModelParts:
    """Return the network as ONNX for one crop at a time; what a stream says is "vote:<input>"."""
    network.eval()
    streams: dict[str, bytes] = {}
    said: dict[str, Tensor] = {}
    for name, shape in config.shapes.items():
        seen, vote = torch.zeros(1, 1, *shape), VOTE + name
        stream: nn.Module = network.streams[name]
        with torch.no_grad():
            said[vote] = stream(seen)
        streams[name] = to_onnx(stream, {name: seen}, [vote])
    return ModelParts(streams=streams, tail=to_onnx(network.head, said, (DEFOCUS, SPREAD)))
