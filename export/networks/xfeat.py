"""XFeat: keypoints and their descriptors from a small convolutional network.

Potje, Cadar, Araujo, Martins, Nascimento 2024, doi:10.1109/CVPR52733.2024.00259. Early layers have
few channels, where pictures are large; features of 1/8, 1/16 and 1/32 are joined at 1/8. Keypoints
come from a branch of its own that looks at bare 8 x 8 blocks of pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from export.networks.weights import is_unread_counter, read_weights, require_fit

CELL_PX, DESCRIPTOR = 8, 64
SIDE_MULTIPLE_PX = 32
"""Five halvings."""

UNUSED = "fine_matcher."
"""Weights of the authors' semi-dense mode, which matches cells in place of keypoints."""


class XFeatMaps(NamedTuple):
    """Of pictures of (n, 1, y, x), at 1/8: descriptors (n, 64, ...), logits of a keypoint at every
    pixel of a cell, row by row, and of none (n, 65, ...), and how reliable a cell is (n, 1, ...).
    """

    features: Tensor
    keypoints: Tensor
    reliability: Tensor


class XFeatNetwork(nn.Module):
    """Names and shapes of its weights are those of the authors' checkpoint."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.InstanceNorm2d(1)
        self.skip1 = nn.Sequential(nn.AvgPool2d(4, stride=4), nn.Conv2d(1, 24, 1))
        self.block1 = _stage((1, 4, 8, 8, 24), halves=(1, 3))
        self.block2 = _stage((24, 24, 24))
        self.block3 = _stage((24, 64, 64, 64), halves=(0,), pointwise=(2,))
        self.block4 = _stage((64, 64, 64, 64), halves=(0,))
        self.block5 = _stage((64, 128, 128, 128, 64), halves=(0,), pointwise=(3,))
        self.block_fusion = nn.Sequential(*_stage((64, 64, 64)), nn.Conv2d(64, DESCRIPTOR, 1))
        self.heatmap_head = nn.Sequential(
            *_stage((64, 64, 64), pointwise=(0, 1)), nn.Conv2d(64, 1, 1), nn.Sigmoid()
        )
        self.keypoint_head = nn.Sequential(
            *_stage((64, 64, 64, 64), pointwise=(0, 1, 2)), nn.Conv2d(64, CELL_PX**2 + 1, 1)
        )

    def forward(self, pictures: Tensor) -> XFeatMaps:
        """Return the maps of (n, 1, y, x) pictures whose sides are multiples of 32."""
        even = self.norm(pictures)
        quarter = self.block2(self.block1(even) + self.skip1(even))
        eighth = self.block3(quarter)
        sixteenth = self.block4(eighth)
        coarse = self.block5(sixteenth)
        joined = eighth + _enlarged(sixteenth, eighth) + _enlarged(coarse, eighth)
        features = self.block_fusion(joined)
        blocks = nn.functional.pixel_unshuffle(even, CELL_PX)
        return XFeatMaps(features, self.keypoint_head(blocks), self.heatmap_head(features))


class ConvolutionUnit(nn.Module):
    """A convolution, batch normalisation without weights, and a ReLU."""

    def __init__(self, before: int, after: int, *, side: int, stride: int) -> None:
        super().__init__()
        self.layer = nn.Sequential(
            nn.Conv2d(before, after, side, stride=stride, padding=side // 2, bias=False),
            nn.BatchNorm2d(after, affine=False),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, after, y, x) from (n, before, y, x), sides divided by the stride."""
        return self.layer(x)


def load_xfeat(path: Path) -> XFeatNetwork:
    """Return the network with the weights of a checkpoint in the authors' layout, for evaluation.

    Raises ConfigRefused naming the file and the first weight that does not fit.
    """
    network = XFeatNetwork()
    found = {k: v for k, v in read_weights(path).items() if not k.startswith(UNUSED)}
    wanted = network.state_dict()
    state = {**found, **{k: v for k, v in wanted.items() if is_unread_counter(k, found)}}
    require_fit(state, wanted, path, otherwise="no XFeat", remedy="give the authors' xfeat.pt")
    network.load_state_dict(state)
    network.eval()
    return network


def keypoint_map(logits: Tensor) -> Tensor:
    """Return how likely every pixel is a keypoint, (n, 1, y, x), of logits (n, 65, y/8, x/8)."""
    likely = torch.softmax(logits, dim=1)[:, : CELL_PX**2]
    return nn.functional.pixel_shuffle(likely, CELL_PX)


def _stage(
    widths: Sequence[int], *, halves: Sequence[int] = (), pointwise: Sequence[int] = ()
) -> nn.Sequential:
    """Return units between these widths; those numbered in `halves` halve the sides."""
    return nn.Sequential(
        *(
            ConvolutionUnit(
                before,
                after,
                side=1 if index in pointwise else 3,
                stride=2 if index in halves else 1,
            )
            for index, (before, after) in enumerate(pairwise(widths))
        )
    )


def _enlarged(x: Tensor, like: Tensor) -> Tensor:
    return nn.functional.interpolate(x, tuple(like.shape[2:]), mode="bilinear")
