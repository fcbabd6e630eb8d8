"""Where within the cell: from windows of finer features, or from the cells' own features."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from export.networks.loftr.sizes import CELL_PX, FINE_PX, LoftrSizes

HIDDEN = 2


class FinePreprocess(nn.Module):
    """Windows of fine features, told what the cell they belong to has learnt."""

    def __init__(self, sizes: LoftrSizes) -> None:
        super().__init__()
        self.window = sizes.window
        self.down_proj = nn.Linear(sizes.width, sizes.fine_width)
        self.merge_feat = nn.Linear(2 * sizes.fine_width, sizes.fine_width)

    def forward(self, windows: Tensor, cells: Tensor) -> Tensor:
        """Return (m, window², fine width) from (m, window², fine width) and (m, width)."""
        told = self.down_proj(cells).unsqueeze(1).expand(-1, windows.shape[1], -1)
        return self.merge_feat(torch.cat([windows, told], dim=2))


def cut_windows(fine: Tensor, *, window: int) -> Tensor:
    """Return the window about every cell, (n, cells, window², channels), of features at 1/2,
    (n, channels, y, x); beyond the rim are zeros.
    """
    stride = CELL_PX // FINE_PX
    cut = nn.functional.unfold(fine, window, stride=stride, padding=window // 2)
    return cut.unflatten(1, (fine.shape[1], window * window)).permute(0, 3, 2, 1)


def expected_offset(a: Tensor, b: Tensor) -> Tensor:
    """Return where the middle of window a lies in window b, (m, 2), as (y, x) in px of the picture
    from the middle of b: the mean of places, weighed by how alike they are.

    `a` and `b` are (m, window², channels).
    """
    count, width = a.shape[1:]
    side = round(count**0.5)
    heat = torch.softmax((a[:, count // 2, :].unsqueeze(1) * b).sum(dim=2) / width**0.5, dim=1)
    steps = (torch.arange(side, device=a.device, dtype=heat.dtype) - side // 2) * FINE_PX
    places = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), dim=2).flatten(0, 1)
    return heat @ places


class OffsetHead(nn.Module):
    """From the features of two matched cells to the place within b's, (..., 2), as (y, x) in px."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2 * width, HIDDEN * width),
            nn.ReLU(inplace=True),
            nn.Linear(HIDDEN * width, width),
            nn.ReLU(inplace=True),
            nn.Linear(width, 2),
        )

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the offset of b's place from the middle of b's cell; it may leave the cell a
        little, for the match may be one cell off.
        """
        return CELL_PX * torch.tanh(self.layers(torch.cat([a, b], dim=-1)))
