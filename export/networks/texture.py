"""A network over the cells of the texture input, or without a hidden layer a linear machine."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from export.networks.base import TileNetwork, initialise_convolutions

HIDDEN = 32
# A class of codes that hardly varies is not blown up beyond this: the shares of 256 pixels step by
# 0.004.
LEAST_DEVIATION = 1e-4


class TextureNet(TileNetwork):
    """Every cell by itself, 1x1, then the mean of the cells; so a texture counts wherever it is.

    "cells": one hidden layer of 32. "linear": none, which is a linear machine on the shares of the
    whole tile. Shares are standardised first, see `standardise`.
    """

    first_layer, last_layer = "look.0", "cells"

    def __init__(self, channels: int, classes: int, *, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(1, channels, 1, 1))
        self.register_buffer("scale", torch.ones(1, channels, 1, 1))
        self.look = nn.Sequential()
        if hidden:
            self.look = nn.Sequential(nn.Conv2d(channels, hidden, 1), nn.ReLU(inplace=True))
        initialise_convolutions(self)
        self.feature_width = hidden or channels
        self.cells = nn.Conv2d(self.feature_width, classes, 1)

    @property
    def linear(self) -> bool:
        """Whether there is no hidden layer."""
        return not len(self.look)

    def standardise(self, mean: Tensor, deviation: Tensor) -> None:
        """Have every channel centred and scaled by these (channels,) of the training set."""
        self.mean.copy_(mean.reshape(self.mean.shape))
        self.scale.copy_(1 / deviation.clamp(min=LEAST_DEVIATION).reshape(self.scale.shape))

    def features(self, images: Tensor) -> Tensor:
        """Return the (n, feature_width) means over the cells."""
        return self._pooled(images).flatten(1)

    def forward(self, images: Tensor) -> Tensor:
        """Return the (n, classes) logits."""
        return torch.flatten(self.cells(self._pooled(images)), 1)

    def _pooled(self, images: Tensor) -> Tensor:
        return self.look((images - self.mean) * self.scale).mean(dim=(2, 3), keepdim=True)
