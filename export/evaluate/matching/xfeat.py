"""XFeat's sparse mode: keypoints whose descriptors are each other's nearest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from export.evaluate.matching.matcher import PointMatches, TilePair, padded_bytes
from export.networks.xfeat import SIDE_MULTIPLE_PX, XFeatMaps, keypoint_map, load_xfeat
from runtime.stitch.match.strips import Strip

MOST_KEYPOINTS, LEAST_LIKELY = 4096, 0.05
PEAK_PX = 5
"""A keypoint is the likeliest pixel of a square that wide. All three are the authors'."""


class XFeatMatcher:
    """The authors' network and settings; strips are filled up to multiples of 32 px."""

    name = "xfeat"

    def __init__(self, path: Path) -> None:
        self._network = load_xfeat(path)

    def match(self, pair: TilePair) -> PointMatches:
        """Return the keypoints that choose each other, as sure as their descriptors are alike."""
        strips = pair.strips
        with torch.inference_mode():
            (at_a, of_a), (at_b, of_b) = self.see(strips.a), self.see(strips.b)
            if min(len(at_a), len(at_b)) == 0:
                return PointMatches.none()
            alike = of_a @ of_b.T
            best, partner = alike.max(dim=1)
            chosen = alike.argmax(dim=0)[partner] == torch.arange(len(at_a))
        a, b = at_a[chosen].double().numpy(), at_b[partner[chosen]].double().numpy()
        return PointMatches.of_crops(strips, a, b, best[chosen].double().numpy())

    def see(self, strip: Strip) -> tuple[Tensor, Tensor]:
        """Return the places (n, 2) x, y of a crop's keypoints, and their descriptors (n, 64)."""
        grey = torch.from_numpy(padded_bytes(strip, SIDE_MULTIPLE_PX).astype(np.float32) / 255)
        maps = self._network(grey[None, None])
        height, width = strip.shape
        likely = keypoint_map(maps.keypoints)
        highest = nn.functional.max_pool2d(likely, PEAK_PX, stride=1, padding=PEAK_PX // 2)
        peaks = (likely == highest) & (likely > LEAST_LIKELY)
        peaks[:, :, height:], peaks[:, :, :, width:] = False, False
        rows, columns = peaks[0, 0].nonzero(as_tuple=True)
        at = torch.stack([columns, rows], dim=1).float()
        score = (
            likely[0, 0][rows, columns] * _sampled(maps.reliability, at, grey.shape, "bilinear")[0]
        )
        order = score.argsort(descending=True, stable=True)[:MOST_KEYPOINTS]
        return at[order], _described(maps, at[order], grey.shape)


def _described(maps: XFeatMaps, at: Tensor, shape: torch.Size) -> Tensor:
    even = nn.functional.normalize(maps.features, dim=1)
    return nn.functional.normalize(_sampled(even, at, shape, "bicubic").T, dim=1)


def _sampled(maps: Tensor, at: Tensor, shape: torch.Size, mode: str) -> Tensor:
    """Return (channels, n) of (1, channels, y/8, x/8) maps at pixels (n, 2) of the picture.

    The way of the authors, with which the network was trained: the picture's outermost pixels lie
    on the outer rim of the outermost cells.
    """
    span = torch.tensor([shape[1] - 1, shape[0] - 1], dtype=at.dtype)
    grid = (2 * at / span - 1)[None, :, None]
    return nn.functional.grid_sample(maps, grid, mode=mode, align_corners=False)[0, :, :, 0]
