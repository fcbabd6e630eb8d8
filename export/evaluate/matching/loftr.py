"""LoFTR as published, of the authors' weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from export.evaluate.matching.matcher import PointMatches, TilePair, padded_bytes
from export.networks.loftr.checkpoint import load_loftr
from export.networks.loftr.network import Loftr, match_pictures
from export.networks.loftr.sizes import CELL_PX, PUBLISHED, LoftrSizes
from runtime.stitch.match.strips import Strip

FIRST_RELEASE = PUBLISHED.model_copy(update={"old_positions": True})
"""What outdoor_ds.ckpt and indoor_ds.ckpt were trained with."""

LEAST = 0.2
"""The authors'."""


class LoftrMatcher:
    """A LoFTR of these sizes on strips at full resolution, filled up to multiples of 8 px; it
    believes matches from the confidence `least` up.
    """

    def __init__(
        self, name: str, path: Path, sizes: LoftrSizes = PUBLISHED, *, least: float = LEAST
    ) -> None:
        self.name, self.sizes, self._least = name, sizes, least
        self._network = Loftr(sizes).eval()
        load_loftr(self._network, path)

    def match(self, pair: TilePair) -> PointMatches:
        """Return the cells that choose each other, with the place within b's cell."""
        strips = pair.strips
        found = match_pictures(
            self._network, _picture(strips.a), _picture(strips.b), least=self._least
        )
        a, b = (px.double().numpy()[:, ::-1] for px in (found.a_px, found.b_px))
        # What was filled up shows nothing.
        inside = np.logical_and(
            (a < strips.a.shape[::-1]).all(axis=1), (b < strips.b.shape[::-1]).all(axis=1)
        )
        sure = found.confidence.double().numpy()
        return PointMatches.of_crops(strips, a[inside], b[inside], sure[inside])


def _picture(strip: Strip) -> Tensor:
    grey = padded_bytes(strip, CELL_PX).astype(np.float32) / 255
    return torch.from_numpy(grey)[None, None]
