"""ResNet50 (He et al. 2016, doi:10.1109/CVPR.2016.90)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from export.networks.base import TileNetwork, initialise_convolutions

BLOCKS = (3, 4, 6, 3)
WIDTHS = (64, 128, 256, 512)
EXPANSION = 4


class ResNet50(TileNetwork):
    """Fifty layers of bottleneck blocks; 25.56 M parameters at 3 channels and 1000 classes.

    Names and shapes of the state dict are torchvision's, and so is the place of the stride: in the
    3x3 convolution ("v1.5") instead of the paper's first 1x1, so that its ImageNet weights fit.
    """

    first_layer, last_layer = "conv1", "fc"
    feature_width = WIDTHS[-1] * EXPANSION

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        before = 64
        for index, (blocks, width) in enumerate(zip(BLOCKS, WIDTHS, strict=True), start=1):
            stage = _stage(before, width, blocks=blocks, stride=1 if index == 1 else 2)
            self.add_module(f"layer{index}", stage)
            before = width * EXPANSION
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(before, classes)
        initialise_convolutions(self)
        _start_as_identity(self)

    def features(self, images: Tensor) -> Tensor:
        """Return the (n, 2048) pooled features."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return torch.flatten(self.avgpool(x), 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return the (n, classes) logits."""
        return self.fc(self.features(images))


class Bottleneck(nn.Module):
    """A residual bottleneck: 1x1 to `width` channels, 3x3, 1x1 to four times that, plus the
    shortcut.
    """

    def __init__(self, before: int, width: int, *, stride: int) -> None:
        super().__init__()
        after = width * EXPANSION
        self.conv1 = nn.Conv2d(before, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, after, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(after)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _projection(before, after, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, 4 * width, y / stride, x / stride)."""
        carried = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        return self.relu(self.bn3(self.conv3(x)) + carried)


def _stage(before: int, width: int, *, blocks: int, stride: int) -> nn.Sequential:
    first = Bottleneck(before, width, stride=stride)
    rest = [Bottleneck(width * EXPANSION, width, stride=1) for _ in range(blocks - 1)]
    return nn.Sequential(first, *rest)


def _projection(before: int, after: int, *, stride: int) -> nn.Sequential | None:
    """Return the 1x1 convolution of the shortcut, None where input and output have one shape."""
    if before == after and stride == 1:
        return None
    return nn.Sequential(
        nn.Conv2d(before, after, 1, stride=stride, bias=False), nn.BatchNorm2d(after)
    )


def _start_as_identity(network: nn.Module) -> None:
    """Let every block start as the identity, with its last norm's scale at zero (Goyal et al. 2017,
    section 5.1, arXiv:1706.02677): a training from scratch then needs few steps to get under way.
    """
    for module in network.modules():
        if isinstance(module, Bottleneck):
            nn.init.zeros_(module.bn3.weight)
