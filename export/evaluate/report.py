"""The files an evaluation leaves, rewritten after every seed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from export.evaluate.figures import draw_mistakes, draw_reliability
from export.evaluate.methods import BASELINE, INTENSITY, Method
from export.evaluate.mistakes import mistakes, wrong_tiles
from export.evaluate.results import FP32, INT8, Results
from export.evaluate.sheet import draw_sheet
from export.evaluate.summary import spread
from export.evaluate.table import markdown, to_csv
from runtime.tile import Pixels

TABLE, TABLE_CSV, RESULTS = "table.md", "table.csv", "results.json"
MATRIX, SHEET, RELIABILITY = "misclassified.png", "misclassified_tiles.png", "reliability.png"
MOST_CURVES = 6


def write_report(results: Results, out: Path, load: Callable[[str], Pixels]) -> None:
    """Write tables, numbers and pictures into `out`; `load` reads an image by its name."""
    results.write(out / RESULTS)
    (out / TABLE).write_text(markdown(results))
    (out / TABLE_CSV).write_text(to_csv(results))
    draw_mistakes(mistakes(results, FP32), results.classes, out / MATRIX)
    best = best_method(results)
    precision = INT8 if results.values(best, INT8, "accuracy") else FP32
    tiles = wrong_tiles(results, best, precision)
    draw_sheet(tiles, results.classes, load, out / SHEET, title=f"{best}, {precision}")
    draw_reliability(results, shown_curves(results), out / RELIABILITY)


def best_method(results: Results) -> Method:
    """Return the network method with the highest mean fp32 accuracy, the first of equals."""
    return max(_networks(results), key=lambda method: _accuracy(results, method))


def shown_curves(results: Results) -> list[Method]:
    """Return intensity alone and the best late fusion of every group, six at the most."""
    chosen = []
    for group in dict.fromkeys(method.group for method in _networks(results)):
        own = [method for method in _networks(results) if method.group == group]
        chosen += [m for m in own if (m.row, m.column) == (INTENSITY, "none")]
        late = [m for m in own if m.column == "late"]
        chosen += [max(late, key=lambda m: _accuracy(results, m))] if late else []
    return (chosen or _networks(results))[:MOST_CURVES]


def _networks(results: Results) -> list[Method]:
    return [method for method in results.methods if method.group != BASELINE]


def _accuracy(results: Results, method: Method) -> float:
    found = spread(results.values(method, FP32, "accuracy"))
    return 0.0 if found is None else found.mean
