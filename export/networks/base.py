"""What every tile network can do, whatever its layers."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from torch import Tensor, nn


class TileNetwork(nn.Module):
    """One stream: an image of one input in, class logits out; any image size from 32 px up.

    `first_layer` and `last_layer` are the state dict's prefixes of the first convolution and of
    the layer that knows the classes: the two that loading foreign weights must adapt.
    """

    first_layer: ClassVar[str]
    last_layer: ClassVar[str]

    feature_width: int

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """Return what the last layer sees of (n, channels, y, x) images: (n, feature_width)."""

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Return the (n, classes) logits of (n, channels, y, x) images."""


def initialise_convolutions(network: nn.Module) -> None:
    """Draw convolutions for ReLUs, keeping the gradient's variance (He et al. 2015,
    doi:10.1109/ICCV.2015.123).
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
