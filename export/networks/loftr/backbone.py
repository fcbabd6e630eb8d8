"""The backbone: residual blocks down to 1/8 and, where wanted, a feature pyramid back up to 1/2."""

from __future__ import annotations

from torch import Tensor, nn

from export.networks.base import initialise_convolutions
from export.networks.loftr.sizes import LoftrSizes


class ResNetFpn(nn.Module):
    """He et al. 2016, doi:10.1109/CVPR.2016.90, and Lin et al. 2017, doi:10.1109/CVPR.2017.106.

    Names and shapes are those of the published checkpoints. Without a fine step by windows there is
    no way up: nothing would read it.
    """

    def __init__(self, sizes: LoftrSizes) -> None:
        super().__init__()
        half, quarter, eighth = sizes.widths
        self.conv1 = nn.Conv2d(1, sizes.stem, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(sizes.stem)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = _stage(sizes.stem, half, blocks=sizes.blocks[0], stride=1)
        self.layer2 = _stage(half, quarter, blocks=sizes.blocks[1], stride=2)
        self.layer3 = _stage(quarter, eighth, blocks=sizes.blocks[2], stride=2)
        self.layer3_outconv = nn.Conv2d(eighth, eighth, 1, bias=False)
        self.climbs = sizes.fine == "window"
        if self.climbs:
            self.layer2_outconv = nn.Conv2d(quarter, eighth, 1, bias=False)
            self.layer2_outconv2 = _merge(eighth, quarter)
            self.layer1_outconv = nn.Conv2d(half, quarter, 1, bias=False)
            self.layer1_outconv2 = _merge(quarter, sizes.fine_width)
        initialise_convolutions(self)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the features at 1/8 and, if there is a way up, at 1/2, (n, channels, y, x) each,
        of (n, 1, y, x) pictures whose sides are multiples of 8.
        """
        half = self.layer1(self.relu(self.bn1(self.conv1(pictures))))
        quarter = self.layer2(half)
        coarse = self.layer3_outconv(self.layer3(quarter))
        if not self.climbs:
            return coarse, None
        up = self.layer2_outconv2(self.layer2_outconv(quarter) + _doubled(coarse))
        return coarse, self.layer1_outconv2(self.layer1_outconv(half) + _doubled(up))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside the input, or beside a 1x1 one of it where the shape changes."""

    def __init__(self, before: int, after: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(after), nn.BatchNorm2d(after)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        if stride != 1 or before != after:
            self.downsample = nn.Sequential(
                nn.Conv2d(before, after, 1, stride=stride, bias=False), nn.BatchNorm2d(after)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, after, y, x) from (n, before, y, x), sides divided by the stride."""
        seen = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(seen + (x if self.downsample is None else self.downsample(x)))


def _stage(before: int, after: int, *, blocks: int, stride: int) -> nn.Sequential:
    first = BasicBlock(before, after, stride=stride)
    return nn.Sequential(first, *(BasicBlock(after, after, stride=1) for _ in range(blocks - 1)))


def _merge(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, before, 3, padding=1, bias=False),
        nn.BatchNorm2d(before),
        nn.LeakyReLU(),
        nn.Conv2d(before, after, 3, padding=1, bias=False),
    )


def _doubled(x: Tensor) -> Tensor:
    return nn.functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=True)
