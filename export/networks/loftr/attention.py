"""Cells that look at their own picture and at the other one, at a cost linear in their number."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

LEAST = 1e-6
PERIOD = 10000.0


def positions(width: int, rows: int, columns: int, *, old: bool) -> NDArray[np.float32]:
    """Return the (width, rows, columns) sinusoidal code of every cell's place, counted from 1.

    Channels take turns: sine and cosine of the column, sine and cosine of the row, then the next
    frequency. `old` as in `LoftrSizes.old_positions`. An array, since a tensor that is made during
    an export, and kept, is none.
    """
    # What -ln(10000) / width // 2 comes to: the floor of a small negative number.
    slope = -1.0 if old else -math.log(PERIOD) / (width // 2)
    rate = np.exp(np.arange(0, width // 2, 2) * slope)[:, None, None]
    row, column = np.mgrid[1 : rows + 1, 1 : columns + 1]
    waves = [np.sin(column * rate), np.cos(column * rate), np.sin(row * rate), np.cos(row * rate)]
    return np.stack(waves, axis=1).reshape(width, rows, columns).astype(np.float32)


def linear_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return what every query gathers, (n, l, heads, d), from (n, l, heads, d) queries and
    (n, s, heads, d) keys and values.

    The softmax is replaced by a product of positive features, elu + 1, so that keys and values are
    summed once for all queries (Katharopoulos et al. 2020, arXiv:2006.16236).
    """
    asked, offered = nn.functional.elu(query) + 1, nn.functional.elu(key) + 1
    asked, offered = asked.transpose(1, 2), offered.transpose(1, 2)
    # Divided by their number before they are summed, so that half precision does not overflow.
    count = value.shape[1]
    summed = offered.transpose(2, 3) @ (value.transpose(1, 2) / count)
    total = asked @ offered.sum(dim=2).unsqueeze(3)
    return ((asked @ summed) * (count / (total + LEAST))).transpose(1, 2)


class AttentionLayer(nn.Module):
    """One look from the cells of one picture at a source, added to what they knew."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width, bias=False)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width, bias=False)
        self.merge = nn.Linear(width, width, bias=False)
        self.mlp = nn.Sequential(
            nn.Linear(2 * width, 2 * width, bias=False),
            nn.ReLU(inplace=True),
            nn.Linear(2 * width, width, bias=False),
        )
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Tensor, source: Tensor) -> Tensor:
        """Return (n, l, width) from (n, l, width) and the (n, s, width) looked at."""
        found = linear_attention(
            self._split(self.q_proj(x)),
            self._split(self.k_proj(source)),
            self._split(self.v_proj(source)),
        )
        said = self.norm1(self.merge(found.flatten(2)))
        return x + self.norm2(self.mlp(torch.cat([x, said], dim=2)))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.heads, -1))


class FeatureTransformer(nn.Module):
    """Pairs of layers: each picture looks at itself, then at the other one."""

    def __init__(self, width: int, heads: int, *, pairs: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(AttentionLayer(width, heads) for _ in range(2 * pairs))
        for weight in self.parameters():
            if weight.ndim > 1:
                nn.init.xavier_uniform_(weight)

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Return both (n, l, width) sets of features, transformed."""
        for index, layer in enumerate(self.layers):
            if index % 2 == 0:
                a, b = layer(a, a), layer(b, b)
            else:
                # As published: b looks at what a has become.
                a = layer(a, b)
                b = layer(b, a)
        return a, b
