"""The outline of boxes taken together, as that of the tiles of a region."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

Point = tuple[float, float]
Box = tuple[float, float, float, float]
"""(x0, y0, x1, y1)."""


def outline(boxes: Sequence[Box]) -> list[list[Point]]:
    """Return the corners of every closed line round the boxes' union, holes too.

    Where two parts touch in a corner alone, their lines may be one.
    """
    xs = sorted({x for x0, _, x1, _ in boxes for x in (x0, x1)})
    ys = sorted({y for _, y0, _, y1 in boxes for y in (y0, y1)})
    covered = np.zeros((len(ys) + 1, len(xs) + 1), bool)  # a rim of nothing all round
    for x0, y0, x1, y1 in boxes:
        rows = slice(ys.index(y0) + 1, ys.index(y1) + 1)
        covered[rows, xs.index(x0) + 1 : xs.index(x1) + 1] = True
    return [_corners([(xs[i], ys[j]) for i, j in line]) for line in _lines(_edges(covered))]


def _edges(covered: np.ndarray) -> Iterable[tuple[tuple[int, int], tuple[int, int]]]:
    """Yield the sides of covered cells that face nothing, from corner to corner, clockwise."""
    for row, column in np.argwhere(covered).tolist():
        left, top, right, bottom = column - 1, row - 1, column, row
        if not covered[row - 1, column]:
            yield (left, top), (right, top)
        if not covered[row, column + 1]:
            yield (right, top), (right, bottom)
        if not covered[row + 1, column]:
            yield (right, bottom), (left, bottom)
        if not covered[row, column - 1]:
            yield (left, bottom), (left, top)


def _lines(
    edges: Iterable[tuple[tuple[int, int], tuple[int, int]]],
) -> Iterable[list[tuple[int, int]]]:
    """Yield the edges joined to closed lines."""
    leading: defaultdict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for start, end in edges:
        leading[start].append(end)
    while leading:
        line = [next(iter(leading))]
        while line[-1] in leading:
            ends = leading[line[-1]]
            at = ends.pop()
            if not ends:
                del leading[line[-1]]
            line.append(at)
        yield line[:-1]


def _corners(line: list[Point]) -> list[Point]:
    """Return a closed line without the points that lie on its straight parts."""
    around = zip(line[-1:] + line[:-1], line, line[1:] + line[:1], strict=True)
    return [
        here for before, here, after in around if (before[0] == here[0]) != (here[0] == after[0])
    ]
