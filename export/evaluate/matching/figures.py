"""Figures of an evaluation of matchers: corner errors, and pairs with their matches drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from export.evaluate.matching.geometry import reprojection_px
from export.evaluate.matching.matcher import Floats, PointMatches, as_bytes
from export.evaluate.matching.results import MatchingResults
from runtime.tile import Pixels

DPI = 120
COLOURS = ("#4c78a8", "#e0a03c", "#54a24b", "#b279a2", "#9d755d", "#72b7b2", "#d1495b")
RIGHT, WRONG = "#54a24b", "#d1495b"
MOST_PX, MOST_LINES = 10.0, 150
WIDTH_IN, BESIDE_IN, BELOW_IN = 6.5, 3.7, 7.0
"""Of the figure, and of the heights of two tiles beside each other and of one below the other."""

GAP = 20
"""Between two tiles lies one part in so many of their width."""


@dataclass(frozen=True, slots=True, eq=False)
class DrawnPair:
    """Two tiles (y, x), b `below` a or else beside it, what was found in them, and what is true of
    them; `title` says which.
    """

    title: str
    below: bool
    a: Pixels
    b: Pixels
    matches: PointMatches
    truth: Floats


def draw_corner_errors(results: MatchingResults, path: Path) -> None:
    """Write, for each matcher, the share of corners that are off by less than so many pixels."""
    figure = Figure(figsize=(9.0, 3.6), dpi=DPI, layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, name in zip(panels, ("homography", "motion"), strict=True):
        for index, matcher in enumerate(results.matchers):
            errors = [
                px
                for grid in results.of(matcher)
                for score in grid.pairs
                for px in getattr(score, f"{name}_px")
            ]
            if not errors:
                continue
            x, y = _stairs(errors)
            colour = COLOURS[index % len(COLOURS)]
            axes.plot(x, y, color=colour, label=matcher, drawstyle="steps-post")
        axes.set(xlim=(0, MOST_PX), ylim=(0, 1.02), xlabel="corner error, px")
        axes.set_title(f"by the {name}", fontsize=9, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("share of corners")
    panels[1].legend(fontsize=8, frameon=False, loc="lower right")
    figure.savefig(path)


def draw_pairs(pairs: Sequence[DrawnPair], path: Path, *, correct_px: float) -> None:
    """Write pairs of tiles, drawn apart, with lines between their matches, right ones green."""
    heights = [BELOW_IN if pair.below else BESIDE_IN for pair in pairs]
    figure = Figure(figsize=(WIDTH_IN, sum(heights)), dpi=DPI, layout="constrained")
    panels = figure.subplots(len(pairs), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, pair in zip(panels, pairs, strict=True):
        _draw(axes, pair, correct_px)
    figure.savefig(path)


def worst_median_best(errors: Mapping[int, float]) -> dict[str, int]:
    """Return which of the numbered pairs has the largest, the middle and the smallest error."""
    order = sorted(errors, key=lambda index: (-errors[index], index))
    return {"worst": order[0], "median": order[len(order) // 2], "best": order[-1]}


def _draw(axes: Any, pair: DrawnPair, correct_px: float) -> None:
    height, width = pair.a.shape
    gap = max(width // GAP, 1)
    x, y = (0, height + gap) if pair.below else (width + gap, 0)
    shown = np.full((height + y, width + x), 255, np.uint8)
    shown[:height, :width], shown[y:, x:] = as_bytes(pair.a), as_bytes(pair.b)
    axes.imshow(shown, cmap="gray", vmin=0, vmax=255)
    right = reprojection_px(pair.matches, pair.truth) <= correct_px
    chosen = np.arange(len(right))[:: max(-(-len(right) // MOST_LINES), 1)]
    in_b = pair.matches.b_px + np.array([x, y])
    lines = np.stack([pair.matches.a_px, in_b], axis=1)[chosen]
    colours = [RIGHT if right[index] else WRONG for index in chosen]
    axes.add_collection(LineCollection([*lines], colors=colours, linewidths=0.5))
    count = f"{int(right.sum())} of {len(right)} correct"
    drawn = f", {len(chosen)} drawn" if len(chosen) < len(right) else ""
    axes.set_title(f"{pair.title}\n{count}{drawn}", fontsize=8, loc="left")
    axes.set_axis_off()


def _stairs(errors: Sequence[float]) -> tuple[Floats, Floats]:
    """Return the steps of the share of errors up to a limit; the curve ends at the last shown."""
    ordered = np.sort(np.asarray(errors, float))
    ordered = ordered[ordered <= MOST_PX]
    share = np.arange(len(ordered) + 1) / max(len(errors), 1)
    return np.append(np.append(0.0, ordered), MOST_PX), np.append(share, share[-1])
