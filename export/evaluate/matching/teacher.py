"""The distilled, coarse LoFTR of Coarse_LoFTR_TRT, as an ONNX graph of one picture size.

It says of every two cells of 16 px how surely they show the same, and no more: what it matches is
off by up to 8 px either way.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from export.evaluate.matching.matcher import Floats, PointMatches, TilePair, as_bytes
from runtime.errors import ConfigRefused
from runtime.inference.onnxruntime_session import REFUSALS, session_options
from runtime.stitch.match.strips import Strip

WINDOW_PX = (480, 640)
CELL_PX = 16
ROWS, COLUMNS = (side // CELL_PX for side in WINDOW_PX)
INPUTS = [[1, 1, *WINDOW_PX]] * 2
LEAST, RIM = 0.2, 1
"""The confidence from which LoFTR believes a match; cells at the rim see half of nothing."""


class TeacherMatcher:
    """The graph on strips laid lengthwise, at full resolution, window by window."""

    name = "loftr-coarse"

    def __init__(self, path: Path) -> None:
        self._session = _opened(path)
        self._inputs = [one.name for one in self._session.get_inputs()]

    def match(self, pair: TilePair) -> PointMatches:
        """Return the cells that choose each other, middle to middle."""
        strips = pair.strips
        upright = strips.a.shape[0] > strips.a.shape[1]
        a, b = (_lengthwise(strip, upright) for strip in (strips.a, strips.b))
        found: dict[tuple[int, int], tuple[Floats, float]] = {}
        # Windows share cells: of those matched twice, the surer match stays.
        for corner in product(*(_starts(s, w) for s, w in zip(a.shape, WINDOW_PX, strict=True))):
            for (row, column), at_b, sure in self._window(_cut(a, corner), _cut(b, corner)):
                cell = (row + corner[0] // CELL_PX, column + corner[1] // CELL_PX)
                if cell not in found or sure > found[cell][1]:
                    found[cell] = np.add(at_b, corner).astype(float), sure
        if not found:
            return PointMatches.none()
        in_a = np.array([*found], float) * CELL_PX
        in_b = np.array([at for at, _ in found.values()])
        inside = (in_a < a.shape).all(axis=1) & (in_b < b.shape).all(axis=1)
        if not upright:
            in_a, in_b = in_a[:, ::-1], in_b[:, ::-1]
        confidence = np.array([sure for _, sure in found.values()])
        return PointMatches.of_crops(strips, in_a[inside], in_b[inside], confidence[inside])

    def _window(self, a: Any, b: Any) -> list[tuple[tuple[int, int], tuple[int, int], float]]:
        """Return the cell of a, the place (y, x) in b, and the confidence of every match."""
        (told, *_) = self._session.run(None, dict(zip(self._inputs, (a, b), strict=True)))
        confidence = told[0]
        partner, back = confidence.argmax(axis=1), confidence.argmax(axis=0)
        matched = []
        for cell in np.flatnonzero(back[partner] == np.arange(len(partner))).tolist():
            other, sure = int(partner[cell]), float(confidence[cell, partner[cell]])
            ends = divmod(cell, COLUMNS), divmod(other, COLUMNS)
            if sure > LEAST and all(_inner(end) for end in ends):
                row, column = ends[1]
                matched.append((ends[0], (row * CELL_PX, column * CELL_PX), sure))
        return matched


def _opened(path: Path) -> onnxruntime.InferenceSession:
    remedy = "give Coarse_LoFTR_TRT's LoFTR_teacher.onnx"
    try:
        session = onnxruntime.InferenceSession(
            path.read_bytes(),
            session_options(torch.get_num_threads(), "together"),
            providers=["CPUExecutionProvider"],
        )
    except (OSError, *REFUSALS) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigRefused(f"graph {path} cannot be read: {reason}", remedy=remedy) from None
    shapes = [one.shape for one in session.get_inputs()]
    if shapes != INPUTS:
        raise ConfigRefused(
            f"graph {path} is no coarse LoFTR", value=shapes, limit=INPUTS, remedy=remedy
        )
    return session


def _lengthwise(strip: Strip, upright: bool) -> NDArray[np.uint8]:
    grey = as_bytes(strip)
    return np.ascontiguousarray(grey.T) if upright else grey


def _starts(side: int, window: int) -> list[int]:
    """Return where windows begin, in whole cells, so that they cover a side."""
    count = max(-(-side // window), 1)
    last = -(-max(side - window, 0) // CELL_PX)
    return [CELL_PX * round(last * index / max(count - 1, 1)) for index in range(count)]


def _cut(grey: NDArray[np.uint8], corner: tuple[int, ...]) -> NDArray[np.float32]:
    """Return a window (1, 1, 480, 640) from 0 to 1; beyond the strip its rim goes on."""
    rows, columns = (
        np.minimum(start + np.arange(side), size - 1)
        for start, side, size in zip(corner, WINDOW_PX, grey.shape, strict=True)
    )
    return grey[np.ix_(rows, columns)][None, None].astype(np.float32) / np.float32(255)


def _inner(cell: tuple[int, int]) -> bool:
    return RIM <= cell[0] < ROWS - RIM and RIM <= cell[1] < COLUMNS - RIM
