"""Which cells choose each other."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


def log_dual_softmax(similarity: Tensor) -> Tensor:
    """Return the logarithm of softmax over rows times softmax over columns, (n, l, s)."""
    along = torch.logsumexp(similarity, dim=2, keepdim=True)
    across = torch.logsumexp(similarity, dim=1, keepdim=True)
    return 2 * similarity - along - across


@dataclass(frozen=True, slots=True, kw_only=True)
class CellChoices:
    """For every cell of a (n, l) the most likely cell of b and its confidence; `back_` the same for
    every cell of b, (n, s).
    """

    partner: Tensor
    confidence: Tensor
    back_partner: Tensor
    back_confidence: Tensor


def choices(log_confidence: Tensor) -> CellChoices:
    """Return what every cell chooses; no output is as large as the (n, l, s) input."""
    best, partner = _best(log_confidence, dim=2)
    back, back_partner = _best(log_confidence, dim=1)
    return CellChoices(
        partner=partner,
        confidence=best.exp(),
        back_partner=back_partner,
        back_confidence=back.exp(),
    )


def _best(values: Tensor, *, dim: int) -> tuple[Tensor, Tensor]:
    """Return the largest along one of the last two axes of (n, l, s), and where it stands first.

    By maxima alone: back ends sort for an index, which takes an eighth of a small network's time.
    """
    largest, count = values.amax(dim=dim, keepdim=True), values.shape[dim]
    left = torch.arange(count, 0, -1, device=values.device, dtype=values.dtype).unsqueeze(2 - dim)
    first = torch.where(values >= largest, left, torch.zeros_like(left)).amax(dim=dim)
    return largest.squeeze(dim), count - first.long()


def mutual(found: CellChoices) -> Tensor:
    """Return which cells of a, (n, l), are chosen by the one that they choose."""
    cells = torch.arange(found.partner.shape[1], device=found.partner.device)
    return found.back_partner.gather(1, found.partner) == cells
