"""A small network for controllers: the class of every cell of a tile, and of the tile."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from export.networks.base import TileNetwork, initialise_convolutions

# Four halvings, so a cell is 16 pixels wide.
WIDTHS, NARROW = (16, 32, 64, 128), 64
CELL_PX = 2 ** len(WIDTHS)
Head = Literal["pooled", "area"]


class CompactNet(TileNetwork):
    """Some 0.15 M parameters. The convolutions are plain ones: depthwise ones are bound by memory
    on CPUs, and a network of them took longer to train than one of bottlenecks with more
    arithmetic.

    One linear layer classifies every cell; `head` says how cells become the tile's logits:

    "pooled": their mean, which equals that layer on pooled features. For classes of images.

    "area": a linear function of the mean cell *probabilities*, for classes defined by how much of
    the area is of a kind: probabilities are bounded, so no single cell can outweigh the others.
    """

    first_layer, last_layer = "stages.0.0", "cells"
    feature_width = WIDTHS[-1]

    def __init__(self, channels: int, classes: int, *, head: Head = "pooled") -> None:
        super().__init__()
        self.stages = nn.Sequential(
            *(
                _convolution(before, after, side=3, stride=2)
                for before, after in zip((channels, *WIDTHS), WIDTHS, strict=False)
            ),
            CompactBottleneck(WIDTHS[-1], NARROW),
        )
        initialise_convolutions(self)
        # Starts small, as linear layers do: drawn for ReLUs, first logits would be tens.
        self.cells = nn.Conv2d(WIDTHS[-1], classes, 1)
        self.decide = _steep(classes) if head == "area" else None

    def features(self, images: Tensor) -> Tensor:
        """Return the (n, 128) pooled features."""
        return self.stages(images).mean(dim=(2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Return the (n, classes) logits of the tile."""
        if self.decide is None:
            pooled = self.stages(images).mean(dim=(2, 3), keepdim=True)
            return torch.flatten(self.cells(pooled), 1)
        return self.with_cells(images)[0]

    def with_cells(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the (n, classes) tile logits and the (n, classes, y, x) logits of its cells,
        `CELL_PX` wide and high, for data that say what each part of a tile is.
        """
        cells = self.cells(self.stages(images))
        if self.decide is None:
            return cells.mean(dim=(2, 3)), cells
        return self.decide(torch.softmax(cells, dim=1).mean(dim=(2, 3))), cells


class CompactBottleneck(nn.Module):
    """A residual bottleneck: 1x1 to `narrow` channels, 3x3, 1x1 to `width`, plus the input."""

    def __init__(self, width: int, narrow: int) -> None:
        super().__init__()
        self.look = nn.Sequential(
            _convolution(width, narrow, side=1, stride=1),
            _convolution(narrow, narrow, side=3, stride=1),
            nn.Conv2d(narrow, width, 1, bias=False),
            nn.BatchNorm2d(width),
        )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, width, y, x) from (n, width, y, x)."""
        return self.relu(x + self.look(x))


def _convolution(before: int, after: int, *, side: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, side, stride=stride, padding=side // 2, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    )


def _steep(classes: int) -> nn.Linear:
    """Return a (classes, classes) layer that starts as a multiple of the identity.

    The mean probabilities it reads lie close to one half for tiles in doubt; the factor lets these
    small differences reach the softmax from the first step on.
    """
    decide = nn.Linear(classes, classes)
    nn.init.zeros_(decide.bias)
    decide.weight.data = 8 * torch.eye(classes)
    return decide
