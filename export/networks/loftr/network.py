"""The network whole: from two pictures to what matches where."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.networks.loftr.attention import FeatureTransformer, positions
from export.networks.loftr.backbone import ResNetFpn
from export.networks.loftr.fine import FinePreprocess, OffsetHead, cut_windows, expected_offset
from export.networks.loftr.matching import (
    CellChoices,
    choices,
    choices_by_rows,
    log_dual_softmax,
    mutual,
)
from export.networks.loftr.sizes import CELL_PX, LoftrSizes

# The temperature of the published dual softmax, and where the learned one starts.
TEMPERATURE, FIRST_SCALE = 0.1, 10.0
# So many rows of a table of cells are in hand at once on a device: half a megabyte of the shipped
# network's, which stays in a core's own cache.
ROWS = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class PairFeatures:
    """What the network knows of a pair: cells of both, (n, l, width), how alike they are as
    logarithms of the dual softmax, (n, l, s), and the features at 1/2, where there are any.
    """

    a: Tensor
    b: Tensor
    log_confidence: Tensor
    fine: tuple[Tensor, Tensor] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelMatches:
    """Matches of one pair, surest first: pixels in both pictures, (m, 2) as (y, x), and the
    confidence of each, (m,).
    """

    a_px: Tensor
    b_px: Tensor
    confidence: Tensor


class Loftr(nn.Module):
    """A LoFTR of any size; names and shapes of its weights are those of the published checkpoints.

    Pictures are (n, 1, y, x), their sides multiples of 8.
    """

    def __init__(self, sizes: LoftrSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.backbone = ResNetFpn(sizes)
        self.loftr_coarse = FeatureTransformer(sizes.width, sizes.heads, pairs=sizes.pairs)
        if sizes.fine == "window":
            self.fine_preprocess = FinePreprocess(sizes)
            self.loftr_fine = FeatureTransformer(
                sizes.fine_width, sizes.heads, pairs=sizes.fine_pairs
            )
        if sizes.fine == "offset":
            self.offset = OffsetHead(sizes.width)
        if sizes.similarity == "cosine":
            self.scale = nn.Parameter(torch.tensor(FIRST_SCALE))

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, ...]:
        """Return what a device reads: the partner and confidence of every cell of a and of b, both
        sets of cells, and with the head "offset" where in b each cell of a lies, (n, l, 2) px.
        """
        seen = self.see(a, b)
        found = choices(seen.log_confidence)
        said = (found.partner, found.confidence, found.back_partner, found.back_confidence)
        if self.sizes.fine != "offset":
            return (*said, seen.a, seen.b)
        return (*said, seen.a, seen.b, self.offset_px(seen, found.partner))

    def see(self, a: Tensor, b: Tensor) -> PairFeatures:
        """Return the features of two pictures and how alike their cells are."""
        if a.shape == b.shape:
            coarse, fine = self.backbone(torch.cat([a, b]))
            (ca, cb), fines = coarse.chunk(2), None if fine is None else fine.chunk(2)
        else:
            (ca, fa), (cb, fb) = self.backbone(a), self.backbone(b)
            fines = (fa, fb)
        kept = None if fines is None or fines[0] is None else (fines[0], fines[1])
        return self.compare(*self.attend(ca, cb), fine=kept)

    def attend(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the cells of two pictures have learnt of each other, (n, l, width), from the
        backbone's features, (n, width, y, x).
        """
        found: tuple[Tensor, Tensor] = self.loftr_coarse(self._placed(a), self._placed(b))
        return found

    def compare(
        self, a: Tensor, b: Tensor, *, fine: tuple[Tensor, Tensor] | None = None
    ) -> PairFeatures:
        """Return how alike the cells, (n, l, width), of two pictures are; features at 1/2 are kept
        as they are.
        """
        log_confidence = log_dual_softmax(self._similarity(a, b))
        return PairFeatures(a=a, b=b, log_confidence=log_confidence, fine=fine)

    def choose(self, a: Tensor, b: Tensor) -> CellChoices:
        """Return what the cells, (n, l, width), of two pictures choose, as a device computes it."""
        a, b = self._comparable(a, b)
        return choices_by_rows(_blocks(a, b), _blocks(b, a))

    def offset_px(self, seen: PairFeatures, partner: Tensor) -> Tensor:
        """Return by how much the place of every cell of a lies off the middle of its partner in b,
        (n, l, 2) as (y, x) px; zeros without a fine step.
        """
        index = partner.unsqueeze(2).expand(-1, -1, seen.b.shape[2])
        if self.sizes.fine == "offset":
            return self.offset(seen.a, seen.b.gather(1, index))
        if self.sizes.fine == "none" or seen.fine is None:
            return seen.a.new_zeros((*partner.shape, 2))
        every = torch.ones_like(partner, dtype=torch.bool)
        return self.refine(seen, every, partner).unflatten(0, tuple(partner.shape))

    def refine(self, seen: PairFeatures, chosen: Tensor, partner: Tensor) -> Tensor:
        """Return the offsets of the chosen cells of a, (m, 2) px, from windows about them and
        about their partners; `chosen` and `partner` are (n, l).
        """
        assert seen.fine is not None
        pair, cell = chosen.nonzero(as_tuple=True)
        other = partner[pair, cell]
        a, b = (cut_windows(one, window=self.sizes.window) for one in seen.fine)
        a = self.fine_preprocess(a[pair, cell], seen.a[pair, cell])
        b = self.fine_preprocess(b[pair, other], seen.b[pair, other])
        return expected_offset(*self.loftr_fine(a, b))

    def _placed(self, coarse: Tensor) -> Tensor:
        code = _code(*coarse.shape[1:], self.sizes.old_positions)
        return (coarse + torch.from_numpy(code).to(coarse)).flatten(2).transpose(1, 2)

    def _similarity(self, a: Tensor, b: Tensor) -> Tensor:
        a, b = self._comparable(a, b)
        return a @ b.transpose(1, 2)

    def _comparable(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Return cells whose products say how alike they are."""
        if self.sizes.similarity == "cosine":
            return self.scale * nn.functional.normalize(a, dim=2), nn.functional.normalize(b, dim=2)
        return a / a.shape[2] ** 0.5, b / b.shape[2] ** 0.5 / TEMPERATURE


def _blocks(a: Tensor, b: Tensor) -> list[Tensor]:
    """Return the products of (n, l, width) cells with (n, s, width), `ROWS` rows at a time."""
    return [rows @ b.transpose(1, 2) for rows in a.split(ROWS, dim=1)]


def match_pictures(
    network: Loftr, a: Tensor, b: Tensor, *, least: float = 0.2, rim: int = 2
) -> PixelMatches:
    """Return the matches of two (1, 1, y, x) pictures: cells that choose each other with at least
    that confidence, none of them within `rim` cells of an edge, where half of what a cell sees is
    outside.
    """
    with torch.no_grad():
        seen = network.see(a, b)
        found = choices(seen.log_confidence)
        shapes = [tuple(side // CELL_PX for side in one.shape[2:]) for one in (a, b)]
        inner = _inside(shapes[0], rim)[None] & _inside(shapes[1], rim)[None].gather(
            1, found.partner
        )
        kept = mutual(found) & inner & (found.confidence > least)
        if seen.fine is None:
            offsets = network.offset_px(seen, found.partner)[kept]
        else:
            offsets = network.refine(seen, kept, found.partner)
    return _matched(found, kept, offsets, widths=(shapes[0][1], shapes[1][1]))


def _matched(
    found: CellChoices, kept: Tensor, offsets: Tensor, *, widths: tuple[int, int]
) -> PixelMatches:
    cells, partners = kept.nonzero(as_tuple=True)[1], found.partner[kept]
    order = found.confidence[kept].argsort(descending=True, stable=True)
    return PixelMatches(
        a_px=cell_px(cells, widths[0])[order],
        b_px=(cell_px(partners, widths[1]) + offsets)[order],
        confidence=found.confidence[kept][order],
    )


def cell_px(cells: Tensor, columns: int) -> Tensor:
    """Return the pixels that numbered cells stand for, (..., 2) as (y, x)."""
    return torch.stack([cells // columns, cells % columns], dim=-1) * float(CELL_PX)


def _inside(shape: tuple[int, ...], rim: int) -> Tensor:
    inside = torch.zeros(shape, dtype=torch.bool)
    inside[rim : shape[0] - rim, rim : shape[1] - rim] = True
    return inside.flatten()


@cache
def _code(width: int, rows: int, columns: int, old: bool) -> NDArray[np.float32]:
    return positions(width, rows, columns, old=old)
