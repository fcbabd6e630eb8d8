"""Figures of an evaluation: which images each method misclassifies, and reliability diagrams."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from export.evaluate.methods import Method
from export.evaluate.mistakes import Mistakes
from export.evaluate.results import FP32, INT8, Results
from export.tasks.classify.metrics import Reliability, reliability

DPI = 120
INK, QUIET = "#222222", "#8a8a8a"
CLASS_COLOURS = ("#4c78a8", "#e0a03c", "#54a24b", "#b279a2", "#9d755d", "#72b7b2")
PRECISION_STYLE = {FP32: ("#4c78a8", "-"), INT8: ("#d1495b", "--")}
# A matrix cell in inches, and the widest picture a page or a screen still shows.
CELL_IN, WIDEST_IN = 0.2, 24.0


def draw_mistakes(found: Mistakes, classes: Sequence[str], path: Path) -> None:
    """Write a matrix of methods by misclassified images; the darker, the more often wrong."""
    rows, columns = max(len(found.methods), 1), max(len(found.names), 1)
    size = (min(3.4 + CELL_IN * columns, WIDEST_IN), 1.9 + CELL_IN * rows)
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    axes = figure.subplots()
    if not found.names:
        axes.set_axis_off()
        axes.set_title("No test image was misclassified")
        figure.savefig(path)
        return
    image = axes.imshow(found.share, cmap="Reds", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(columns), [*found.names], rotation=90, fontsize=6)
    axes.set_yticks(range(rows), [str(method) for method in found.methods], fontsize=7)
    for label, target in zip(axes.get_xticklabels(), found.target, strict=True):
        label.set_color(CLASS_COLOURS[target % len(CLASS_COLOURS)])
    _grid(axes, rows, columns)
    _separate(axes, found)
    axes.set_title(_heading(found, classes), fontsize=9, loc="left")
    bar = figure.colorbar(image, ax=axes, fraction=0.02, pad=0.01)
    bar.set_label("share of its tests misclassified", fontsize=7)
    bar.ax.tick_params(labelsize=6)
    figure.savefig(path)


def draw_reliability(results: Results, methods: Sequence[Method], path: Path) -> None:
    """Write, for each method, accuracy against top score over the test images of all seeds."""
    count = max(len(methods), 1)
    figure = Figure(figsize=(3.3 * count, 4.3), dpi=DPI, layout="constrained")
    axes = figure.subplots(2, count, squeeze=False, sharex=True, height_ratios=(4, 1))
    for (curve, histogram), method in zip(axes.T, methods, strict=True):
        for precision in (FP32, INT8):
            bins = pooled_reliability(results, method, precision)
            if bins is not None:
                _curve(curve, histogram, bins, precision)
        curve.plot([0, 1], [0, 1], color=QUIET, linewidth=0.8, linestyle=":")
        curve.set(xlim=(0, 1), ylim=(0, 1.02))
        curve.set_title(str(method), fontsize=9)
        curve.legend(fontsize=7, loc="upper left", frameon=False)
        histogram.set_xlabel("top score", fontsize=8)
        for part in (curve, histogram):
            _plain(part)
    axes[0, 0].set_ylabel("accuracy", fontsize=8)
    axes[1, 0].set_ylabel("images", fontsize=8)
    figure.savefig(path)


def pooled_reliability(results: Results, method: Method, precision: str) -> Reliability | None:
    """Return the bins over the test images of all seeds, or None where nothing was scored."""
    pairs = [
        (one.scores[method][precision], one.target)
        for one in results.seeds
        if precision in one.scores.get(method, {})
    ]
    if not pairs:
        return None
    scores, targets = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    return reliability(scores, targets)


def _curve(curve: Any, histogram: Any, bins: Reliability, precision: str) -> None:
    colour, line = PRECISION_STYLE[precision]
    filled = bins.count > 0
    label = f"{precision}  ECE {bins.calibration_error:.3f}"
    curve.plot(
        *(values[filled] for values in (bins.confidence, bins.accuracy)),
        color=colour,
        linestyle=line,
        marker="o",
        markersize=4,
        label=label,
    )
    histogram.stairs(bins.count, _edges(len(bins.count)), color=colour, linestyle=line)


def _edges(bins: int) -> NDArray[np.float64]:
    return np.linspace(0.0, 1.0, bins + 1)


def _heading(found: Mistakes, classes: Sequence[str]) -> str:
    counts = [
        f"{np.count_nonzero(found.target == index)} {name}" for index, name in enumerate(classes)
    ]
    most = int(found.tested.max())
    seeds = f"tested in up to {most} seeds" if most > 1 else "one seed"
    return f"Misclassified test images: {', '.join(counts)} ({seeds})"


def _separate(axes: Any, found: Mistakes) -> None:
    """Draw a line between the classes and between the groups of methods."""
    for place in np.flatnonzero(np.diff(found.target)):
        axes.axvline(place + 0.5, color=INK, linewidth=1.2)
    groups = [method.group for method in found.methods]
    for row, (group, below) in enumerate(pairwise(groups)):
        if group != below:
            axes.axhline(row + 0.5, color=INK, linewidth=1.2)


def _grid(axes: Any, rows: int, columns: int) -> None:
    axes.set_xticks(np.arange(columns - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(rows - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="#eeeeee", linewidth=0.6)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)


def _plain(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=7, color=QUIET)
