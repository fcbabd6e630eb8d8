"""Which cells choose each other."""

from __future__ import annotations

from collections.abc import Sequence
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
    best, partner = _best(log_confidence)
    back, back_partner = _best(log_confidence.transpose(1, 2))
    return CellChoices(
        partner=partner,
        confidence=best.exp(),
        back_partner=back_partner,
        back_confidence=back.exp(),
    )


def choices_by_rows(of_a: Sequence[Tensor], of_b: Sequence[Tensor]) -> CellChoices:
    """Return the `choices` of a dual softmax, from blocks of rows that say how alike cells of a are
    to those of b, together (n, l, s), and cells of b to those of a, together (n, s, l).

    One table is the other turned, and yet both are asked for: down its columns ONNX Runtime takes
    five times as long as to make it anew and read its rows. A block at a time there is no more than
    these two in memory.
    """
    along, across = (torch.cat([_log_sum(rows) for rows in table], 1) for table in (of_a, of_b))
    best, partner = _best_of(of_a, across)
    back, back_partner = _best_of(of_b, along)
    return CellChoices(
        partner=partner,
        confidence=(2 * best - along.squeeze(2)).exp(),
        back_partner=back_partner,
        back_confidence=(2 * back - across.squeeze(2)).exp(),
    )


def _best_of(table: Sequence[Tensor], others: Tensor) -> tuple[Tensor, Tensor]:
    """Return the best of every row of a table in blocks, less half of what its column sums up to,
    (n, s, 1), and where it stands first.
    """
    half = others.transpose(1, 2) / 2
    best, first = zip(*(_best(rows - half) for rows in table), strict=True)
    return torch.cat(best, 1), torch.cat(first, 1)


def _log_sum(values: Tensor) -> Tensor:
    """Return the logarithm of the sum of exponentials along rows, (n, l, 1).

    In steps: as one operation ONNX Runtime takes eight times as long.
    """
    largest = values.amax(dim=2, keepdim=True)
    return (values - largest).exp().sum(dim=2, keepdim=True).log() + largest


def _best(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return the largest along the rows of (n, l, s), and where it stands first, (n, l) each.

    By maxima alone: back ends sort for an index, which takes an eighth of a small network's time.
    """
    largest, count = values.amax(dim=2, keepdim=True), values.shape[2]
    left = torch.arange(count, 0, -1, device=values.device, dtype=values.dtype)
    first = ((values >= largest).to(values.dtype) * left).amax(dim=2)
    return largest.squeeze(2), count - first.long()


def mutual(found: CellChoices) -> Tensor:
    """Return which cells of a, (n, l), are chosen by the one that they choose."""
    cells = torch.arange(found.partner.shape[1], device=found.partner.device)
    return found.back_partner.gather(1, found.partner) == cells
