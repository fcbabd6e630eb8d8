"""A trained matcher as the device runs it: layers that may become int8, then the choices.

How alike cells are stays in fp32: eight bits of a softmax over a thousand cells tell few of them
apart.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from export.convert.graph import to_onnx
from export.convert.parts import VOTE, ModelParts
from export.networks.loftr.network import Loftr
from export.tasks.match.config import StripShape
from runtime.tasks.match.record import (
    BACK_CONFIDENCE,
    BACK_PARTNER,
    CONFIDENCE,
    OFFSET,
    PARTNER,
    STRIPS,
)

CELLS = "cells"
SAID = (PARTNER, CONFIDENCE, BACK_PARTNER, BACK_CONFIDENCE, OFFSET)


def to_matching_parts(network: Loftr, shape: StripShape) -> ModelParts:
    """Return the network as ONNX for two strips of this very shape, (2, 1, y, x).

    What the cells of both have learnt, (2, cells, width), is the tensor between the two parts. It
    gives out no table of cells against cells.
    """
    network.eval()
    strips = torch.zeros(2, 1, *shape.shape)
    with torch.no_grad():
        cells = _Cells(network)(strips)
    said = VOTE + CELLS
    learnt = to_onnx(_Cells(network), {STRIPS: strips}, [said])
    return ModelParts(streams={CELLS: learnt}, tail=to_onnx(_Choices(network), {said: cells}, SAID))


class _Cells(nn.Module):
    def __init__(self, network: Loftr) -> None:
        super().__init__()
        self.network = network

    def forward(self, strips: Tensor) -> Tensor:
        coarse, _ = self.network.backbone(strips)
        return torch.cat(self.network.attend(*coarse.chunk(2)))


class _Choices(nn.Module):
    def __init__(self, network: Loftr) -> None:
        super().__init__()
        self.network = network

    def forward(self, cells: Tensor) -> tuple[Tensor, ...]:
        a, b = cells.chunk(2)
        found = self.network.choose(a, b)
        said = (found.partner, found.confidence, found.back_partner, found.back_confidence)
        # Of what is compared the offsets need the cells alone: the rest leaves the graph.
        seen = self.network.compare(a, b)
        return (*said, self.network.offset_px(seen, found.partner))
