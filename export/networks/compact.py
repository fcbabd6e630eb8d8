"""A small network for controllers: a map of what each part of the tile is, and the tile's class."""

from __future__ import annotations

import torch
from torch import Tensor, nn

WIDTHS = (16, 32, 48, 64)
CELL_PX = 2 ** len(WIDTHS)


class CompactNet(nn.Module):
    """One stream. Some 0.1 M parameters; four halvings, so a map cell is 16 input pixels wide.

    A tile's class is defined by how much of its area is of a kind, so the tile's logits are a
    linear function of the mean cell probabilities, and not of pooled features: it counts area and
    cannot be carried away by one loud corner.
    """

    def __init__(self, channels: int, classes: int = 2) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip((channels, *WIDTHS), WIDTHS, strict=False):
            layers += _block(before, after, stride=2)
        layers += _block(WIDTHS[-1], WIDTHS[-1], stride=1)
        self.features = nn.Sequential(*layers)
        self.cells = nn.Conv2d(WIDTHS[-1], classes, 1)
        self.decide = nn.Linear(classes, classes)
        # Areas near one half are where the doubt is: start out steep there.
        nn.init.zeros_(self.decide.bias)
        self.decide.weight.data = 8 * torch.eye(classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the (n, classes) tile logits and the (n, classes, y, x) cell logits."""
        cells = self.cells(self.features(images))
        return self.decide(torch.softmax(cells, dim=1).mean(dim=(2, 3))), cells


def _block(before: int, after: int, *, stride: int) -> list[nn.Module]:
    convolution = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
