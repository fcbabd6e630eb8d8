"""The table of the results: for a terminal, as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from functools import partial

from rich.table import Table

from export.evaluate.bootstrap import METRICS as COMPARED
from export.evaluate.methods import BASELINE, COLUMNS, Method
from export.evaluate.results import FP32, INT8, Results
from export.evaluate.summary import Paired, fused_against_members, spread

METRICS = ("accuracy", "balanced_accuracy", "f1", "auroc", "log_loss", "calibration_error")
EMPTY = ""


def markdown(results: Results, *, metric: str = "accuracy") -> str:
    """Return the whole report: how it was trained, the tables, the paired differences."""
    count = len(results.seeds)
    lines = [
        f"# {_words(metric).capitalize()} on test specimens",
        "",
        f"Mean (standard deviation) over {count} seed{'s' if count != 1 else ''}; the split of a "
        "seed is the same for all methods.",
        "",
        *(f"- {name}: {value}" for name, value in results.settings.items()),
        "",
    ]
    for title, rows in _tables(results, metric):
        lines += [f"## {title}", "", *_markdown_table(rows), ""]
    for title, rows in _paired_tables(results):
        lines += [f"## {title}", "", *_markdown_table(rows), ""]
    return "\n".join(lines)


def to_csv(results: Results) -> str:
    """Return one line per seed, method and precision, with every metric."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("seed", "group", "row", "column", "precision", *METRICS, "n"))
    for one in results.seeds:
        for method, by_precision in one.scores.items():
            for precision in by_precision:
                metrics = one.metrics(method, precision)
                plain = {} if metrics is None else metrics.to_json()
                numbers = (plain.get(name, EMPTY) for name in (*METRICS, "n"))
                place = (method.group, method.row, method.column)
                writer.writerow((one.seed, *place, precision, *numbers))
    return text.getvalue()


def terminal(results: Results, *, metric: str = "accuracy") -> Iterator[Table]:
    """Yield a table for each group and precision, and one of the paired differences."""
    for title, rows in _tables(results, metric):
        yield _rich(title, rows)
    for title, rows in _paired_tables(results):
        yield _rich(title, rows)


def _tables(results: Results, metric: str) -> Iterator[tuple[str, list[list[str]]]]:
    """Yield title and rows: the metric of each group and precision, and how far these agree."""
    for group in dict.fromkeys(method.group for method in results.methods):
        for precision in (FP32, INT8):
            values = partial(results.values, precision=precision, metric=metric)
            yield from _table(results, f"{group}, {precision}: {_words(metric)}", group, values)
        yield from _table(results, f"{group}: int8 decides as fp32", group, results.agreements)


def _table(
    results: Results, title: str, group: str, values: Callable[[Method], list[float]]
) -> Iterator[tuple[str, list[list[str]]]]:
    """Yield the title, and the head and the filled rows; nothing when no method has a value."""
    methods = [method for method in results.methods if method.group == group]
    columns = list(dict.fromkeys(method.column for method in methods))
    if group != BASELINE:
        columns = [*COLUMNS, *(name for name in columns if name not in COLUMNS)]
    body = []
    for row in dict.fromkeys(method.row for method in methods):
        cells = (spread(values(Method(group, row, column))) for column in columns)
        texts = [EMPTY if cell is None else str(cell) for cell in cells]
        if any(texts):
            body.append([row, *texts])
    if body:
        yield title, [["input", *columns], *body]


def _words(metric: str) -> str:
    return metric.replace("_", " ")


def _markdown_table(rows: list[list[str]]) -> list[str]:
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    return [head, "|" + "---|" * len(rows[0]), *body]


def _paired_tables(results: Results) -> Iterator[tuple[str, list[list[str]]]]:
    """Yield title and rows: what fusion adds, by metric and precision, and whether that is sure."""
    for metric in COMPARED:
        for precision in (FP32, INT8):
            paired = fused_against_members(results, metric=metric, precision=precision)
            if paired:
                title = f"Fusion minus a member alone, {precision}: {_words(metric)}"
                yield title, _paired_rows(paired)


def _paired_rows(paired: list[Paired]) -> list[list[str]]:
    head = ["fusion", "minus", "difference", "95 % interval", "verdict", "better", "equal", "worse"]
    body = [
        [
            f"{one.method.group}, {one.method.row}, {one.method.column}",
            f"{one.reference.group}, {one.reference.row}",
            f"{one.difference.mean:+.3f}"
            + ("" if one.difference.std is None else f" ({one.difference.std:.3f})"),
            EMPTY
            if one.interval is None
            else f"{one.interval.low:+.3f} to {one.interval.high:+.3f}",
            one.verdict,
            *(str(number) for number in (one.better, one.equal, one.worse)),
        ]
        for one in paired
    ]
    return [head, *body]


def _rich(title: str, rows: list[list[str]]) -> Table:
    table = Table(title=title, title_justify="left")
    for index, name in enumerate(rows[0]):
        table.add_column(name, justify="left" if index == 0 else "right")
    for row in rows[1:]:
        table.add_row(*row)
    return table
