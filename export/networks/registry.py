"""Networks by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from export.networks.base import TileNetwork
from export.networks.compact import CompactNet, Head
from export.networks.resnet import ResNet50
from export.networks.texture import TextureNet
from export.networks.vgg import VGG16BN
from runtime.errors import ConfigRefused

_MAKERS: dict[str, Callable[[int, int], TileNetwork]] = {
    "compact": CompactNet,
    "resnet50": ResNet50,
    "vgg16_bn": VGG16BN,
}
ARCHITECTURES = tuple(_MAKERS)
# For the texture input alone, which no other network reads.
TEXTURE_MAKERS: dict[str, Callable[[int, int], TileNetwork]] = {
    "texture-cells": TextureNet,
    "texture-linear": partial(TextureNet, hidden=0),
}


def make_network(
    architecture: str, *, channels: int, classes: int, head: Head = "pooled"
) -> TileNetwork:
    """Return a fresh network, its weights drawn from torch's generator.

    Its memory format is channels-last, in which convolutions are faster on CPU and GPU alike.
    `head` "area" is for the compact network on data whose classes are shares of area. Raises
    ConfigRefused for an unknown name, fewer than two classes, or a head the network has not.
    """
    if architecture not in (*ARCHITECTURES, *TEXTURE_MAKERS):
        raise ConfigRefused(
            "unknown architecture", value=architecture, limit=", ".join(ARCHITECTURES)
        )
    if channels < 1 or classes < 2:
        raise ConfigRefused(
            f"{architecture} cannot be made",
            value=f"{channels} channels, {classes} classes",
            limit="at least 1 channel and 2 classes",
        )
    if head == "area" and architecture != "compact":
        raise ConfigRefused(
            f"{architecture} has no area head", remedy="use 'compact', or head = 'pooled'"
        )
    if head == "area":
        network: TileNetwork = CompactNet(channels, classes, head="area")
    else:
        network = {**_MAKERS, **TEXTURE_MAKERS}[architecture](channels, classes)
    network.to(memory_format=torch.channels_last)
    return network
