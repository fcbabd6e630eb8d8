"""Defocus and its uncertainty from a crop, from its spectrum, or from both."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from export.networks.base import initialise_convolutions
from export.networks.defocus.sizes import DefocusSizes

# The least mean deviation that can be claimed, as a share of the range.
LEAST_SPREAD = 2e-3


class DefocusNetwork(nn.Module):
    """A stream for every input, and a head that reads what all of them say.

    `inputs` gives the (rows, columns) of each by name: "image" and "spectrum".
    """

    def __init__(
        self, sizes: DefocusSizes, inputs: Mapping[str, tuple[int, int]], *, range_um: float
    ) -> None:
        super().__init__()
        self.streams = nn.ModuleDict(
            {
                name: ImageStream(sizes) if name == "image" else SpectrumStream(sizes, shape)
                for name, shape in inputs.items()
            }
        )
        width = sum(one.features for one in self.streams.values())
        self.head = Head(width, sizes.head, range_um=range_um)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the defocus and the mean deviation expected of it, micrometres, (n, 1) each, of
        inputs (n, 1, y, x) in the order of their names.
        """
        said = [one(seen) for one, seen in zip(self.streams.values(), inputs, strict=True)]
        defocus, spread = self.head(*said)
        return defocus, spread


class ImageStream(nn.Module):
    """Convolutions, the first of which looks at 7 x 7 px every 4: there lie most of the pixels."""

    def __init__(self, sizes: DefocusSizes) -> None:
        super().__init__()
        first, *others = sizes.widths
        layers = [_convolution(1, first, side=7, stride=4)]
        before = first
        for width in others:
            layers += [
                _convolution(before, width, side=3, stride=2),
                _convolution(width, width, side=3, stride=1),
            ]
            before = width
        self.layers = nn.Sequential(*layers)
        self.features = before
        initialise_convolutions(self)

    def forward(self, image: Tensor) -> Tensor:
        """Return the (n, features) mean over the crop."""
        return self.layers(image).mean(dim=(2, 3))


class SpectrumStream(nn.Module):
    """Fully connected layers."""

    def __init__(self, sizes: DefocusSizes, shape: tuple[int, int]) -> None:
        super().__init__()
        before, layers = shape[0] * shape[1], list[nn.Module]()
        for width in sizes.dense:
            layers += [nn.Linear(before, width), nn.ReLU(inplace=True)]
            before = width
        self.layers = nn.Sequential(*layers)
        self.features = before

    def forward(self, spectrum: Tensor) -> Tensor:
        """Return what the last layer says, (n, features)."""
        return self.layers(torch.flatten(spectrum, 1))


class Head(nn.Module):
    """From the features of all streams to defocus and deviation."""

    def __init__(self, features: int, width: int, *, range_um: float) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(features, width), nn.Linear(width, 2)
        self.range_um = range_um

    def forward(self, *said: Tensor) -> tuple[Tensor, Tensor]:
        """Return them, (n, 1) each, micrometres."""
        joined = said[0] if len(said) == 1 else torch.cat(said, dim=1)
        found = self.last(torch.relu(self.first(joined)))
        spread = nn.functional.softplus(found[:, 1:]) + LEAST_SPREAD
        return self.range_um * found[:, :1], self.range_um * spread


def _convolution(before: int, after: int, *, side: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, side, stride=stride, padding=side // 2, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    )
