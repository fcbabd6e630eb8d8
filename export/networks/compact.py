"""A small network for controllers: the class of every cell of a tile, and of the tile."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from export.networks.base import TileNetwork, initialise_convolutions

# Four halvings: a cell is 16 input pixels wide.
STEM, WIDTHS = 24, (48, 96, 128)
CELL_PX = 2 ** (1 + len(WIDTHS))
Head = Literal["pooled", "area"]


class CompactNet(TileNetwork):
    """Some 0.5 M parameters; plain convolutions, since on small CPUs they use the arithmetic that
    depthwise ones leave idle.

    One linear layer classifies every cell; `head` says how cells become the tile's logits:

    "pooled": their mean, which equals that layer on pooled features. For classes of images.
    "area": a linear function of the mean cell *probabilities*, for classes defined by how much of
    the area is of a kind: it counts area and cannot be carried away by one loud corner.
    """

    first_layer, last_layer = "stem.0", "cells"
    feature_width = WIDTHS[-1]

    def __init__(self, channels: int, classes: int, *, head: Head = "pooled") -> None:
        super().__init__()
        self.stem = _convolution(channels, STEM, stride=2)
        widths = (STEM, *WIDTHS)
        self.stages = nn.Sequential(
            *(Stage(before, after) for before, after in zip(widths, WIDTHS, strict=False))
        )
        initialise_convolutions(self)
        # Starts small, as linear layers do: drawn for ReLUs, first logits would be tens.
        self.cells = nn.Conv2d(WIDTHS[-1], classes, 1)
        self.decide = _steep(classes) if head == "area" else None

    def features(self, images: Tensor) -> Tensor:
        """Return the (n, 128) pooled features."""
        return self._map(images).mean(dim=(2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Return the (n, classes) logits of the tile."""
        if self.decide is None:
            pooled = self._map(images).mean(dim=(2, 3), keepdim=True)
            return torch.flatten(self.cells(pooled), 1)
        return self.with_cells(images)[0]

    def with_cells(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the (n, classes) tile logits and the (n, classes, y, x) logits of its cells,
        `CELL_PX` wide and high, for data that say what each part of a tile is.
        """
        cells = self.cells(self._map(images))
        if self.decide is None:
            return cells.mean(dim=(2, 3)), cells
        return self.decide(torch.softmax(cells, dim=1).mean(dim=(2, 3))), cells

    def _map(self, images: Tensor) -> Tensor:
        return self.stages(self.stem(images))


class Stage(nn.Module):
    """Halve and widen, then look again and add."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.halve = _convolution(before, after, stride=2)
        self.look = nn.Sequential(
            *_convolution(after, after, stride=1),
            nn.Conv2d(after, after, 1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, after, y / 2, x / 2)."""
        x = self.halve(x)
        return self.relu(x + self.look(x))


def _convolution(before: int, after: int, *, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    )


def _steep(classes: int) -> nn.Linear:
    """Return a layer that starts out steep: areas near one half are where the doubt is."""
    decide = nn.Linear(classes, classes)
    nn.init.zeros_(decide.bias)
    decide.weight.data = 8 * torch.eye(classes)
    return decide
