"""What a matching network is taught: where every cell lies, or that it lies nowhere."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from export.networks.loftr.network import Loftr, PairFeatures
from export.networks.loftr.sizes import CELL_PX

# How much the place within the cell, and cells that have none, count beside the choice of cells.
WITHIN, NOWHERE = 0.3, 0.3
LEAST = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Of (n, l) cells of the first strips: which have a place in the second, the cell nearest to it
    (0 where there is none), and the place, (n, l, 2) as (y, x) px.
    """

    seen: Tensor
    partner: Tensor
    places_px: Tensor

    @classmethod
    def of(cls, places_px: Tensor, cells: tuple[int, int]) -> Truth:
        """Return what (n, l, 2) places mean for second strips of so many rows and columns."""
        rows, columns = cells
        nearest = torch.round(torch.nan_to_num(places_px, nan=-1e4) / CELL_PX).long()
        row, column = nearest.unbind(dim=2)
        seen = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
        return cls(
            seen=seen, partner=torch.where(seen, row * columns + column, 0), places_px=places_px
        )


def choice_loss(log_confidence: Tensor, truth: Truth) -> Tensor:
    """Return the focal loss of cells that have a place (Lin et al. 2017, as LoFTR uses it on its
    dual softmax), and of cells that are sure of one though they have none.
    """
    right = log_confidence.gather(2, truth.partner.unsqueeze(2)).squeeze(2)[truth.seen]
    wrong = log_confidence.max(dim=2).values.exp()[~truth.seen]
    missed = (1 - right.exp()) ** 2 * -right
    invented = wrong**2 * -torch.log1p(-wrong.clamp(max=1 - LEAST))
    return _mean(missed) + NOWHERE * _mean(invented)


def offset_loss(network: Loftr, seen: PairFeatures, truth: Truth, columns: int) -> Tensor:
    """Return how far off the places within the cells are, px, counted where the cell is known.

    Where the network chose a cell beside the nearest one it is that one it answers for, since on
    the device it will be.
    """
    with torch.no_grad():
        chosen = seen.log_confidence.argmax(dim=2)
        asked = torch.where(_beside(chosen, truth.partner, columns), chosen, truth.partner)
    found = network.offset_px(seen, asked)
    middle = torch.stack([asked // columns, asked % columns], dim=2) * float(CELL_PX)
    wanted = (truth.places_px - middle)[truth.seen]
    return WITHIN * _mean(nn.functional.smooth_l1_loss(found[truth.seen], wanted, reduction="none"))


def _beside(chosen: Tensor, partner: Tensor, columns: int) -> Tensor:
    down = (chosen // columns - partner // columns).abs()
    across = (chosen % columns - partner % columns).abs()
    return torch.maximum(down, across) <= 1


def _mean(values: Tensor) -> Tensor:
    """Return the mean, 0 of nothing."""
    return values.sum() / max(values.numel(), 1)
