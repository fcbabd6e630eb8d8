"""VGG16 with batch normalisation (Simonyan and Zisserman 2015, arXiv:1409.1556, column D)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from export.networks.base import TileNetwork, initialise_convolutions

# Widths of the convolutions in each of the five blocks; a 2x2 maximum ends a block.
BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
POOLED_PX, HIDDEN = 7, 4096
# Where a state dict holds the convolutions, and our own name for them: the published name is
# that of a method here.
PUBLISHED, OWN = "features.", "convolutions."


class VGG16BN(TileNetwork):
    """Thirteen convolutions and three fully connected layers; 138.37 M parameters at 3 channels
    and 1000 classes. Names and shapes of the state dict are torchvision's.
    """

    first_layer, last_layer = "features.0", "classifier.6"
    feature_width = HIDDEN

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.convolutions = _convolutions(channels)
        self.classifier = nn.Sequential(
            nn.Linear(BLOCKS[-1][-1] * POOLED_PX**2, HIDDEN), nn.ReLU(inplace=True), nn.Dropout(),
            nn.Linear(HIDDEN, HIDDEN), nn.ReLU(inplace=True), nn.Dropout(),
            nn.Linear(HIDDEN, classes),
        )  # fmt: skip
        initialise_convolutions(self)
        for layer in self.classifier:
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.zeros_(layer.bias)
        self.register_state_dict_post_hook(_publish_names)
        self.register_load_state_dict_pre_hook(_own_names)

    def features(self, images: Tensor) -> Tensor:
        """Return the (n, 4096) output of the second fully connected layer, after its ReLU."""
        x = torch.flatten(_pool(self.convolutions(images), POOLED_PX), 1)
        return self.classifier[:-1](x)

    def forward(self, images: Tensor) -> Tensor:
        """Return the (n, classes) logits."""
        return self.classifier[-1](self.features(images))


def _convolutions(channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    before = channels
    for block in BLOCKS:
        for after in block:
            layers += [
                nn.Conv2d(before, after, 3, padding=1),
                nn.BatchNorm2d(after),
                nn.ReLU(inplace=True),
            ]
            before = after
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


def _pool(images: Tensor, side: int) -> Tensor:
    """Return adaptive average pooling to (n, channels, side, side) as two products with constants:
    the layer of that name cannot be exported for sizes that `side` does not divide.
    """
    height, width = int(images.shape[2]), int(images.shape[3])
    if (height, width) == (side, side):
        return images
    rows, columns = (_means(size, side, like=images) for size in (height, width))
    return torch.matmul(torch.matmul(rows, images), columns.T)


def _means(size: int, side: int, *, like: Tensor) -> Tensor:
    """Return the (side, size) matrix whose row i averages floor(i s) to ceil((i + 1) s), with
    s = size / side: adaptive pooling's cells.
    """
    matrix = torch.zeros(side, size, device=like.device, dtype=like.dtype)
    for cell in range(side):
        start, stop = cell * size // side, -(-(cell + 1) * size // side)
        matrix[cell, start:stop] = 1 / (stop - start)
    return matrix


def _publish_names(_: nn.Module, state: dict[str, Any], prefix: str, *_rest: object) -> None:
    _rename(state, prefix + OWN, prefix + PUBLISHED)


def _own_names(_: nn.Module, state: dict[str, Any], prefix: str, *_rest: object) -> None:
    _rename(state, prefix + PUBLISHED, prefix + OWN)


def _rename(state: dict[str, Any], old: str, new: str) -> None:
    """Change the prefix of keys in place, keeping their order."""
    renamed = {new + k.removeprefix(old) if k.startswith(old) else k: v for k, v in state.items()}
    state.clear()
    state.update(renamed)
