"""HTML and SVG as nested calls; text that is not already markup is escaped on its way in."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence

MOST_ROWS = 100
"""Rows of a long table that are on show; the others are a click away."""

VOID = frozenset({"br", "img", "input", "link", "meta"})


class Html(str):
    """Text that is already markup. Only this module and constants may make one."""

    __slots__ = ()


def element(name: str, /, *children: str | None, **attributes: object) -> Html:
    """Return `<name attributes>children</name>`.

    Children that are not `Html` are escaped; None is left out. In attribute names a trailing "_"
    is dropped and other "_" become "-" (`class_`, `stroke_width`); an attribute that is None or
    False is left out, and True stands without a value.
    """
    opening = "".join([f"<{name}", *(_attribute(k, v) for k, v in attributes.items()), ">"])
    if name in VOID:
        return Html(opening)
    return Html(f"{opening}{join(children)}</{name}>")


def join(parts: Iterable[str | None]) -> Html:
    """Return the parts one after another, escaping what is not markup."""
    return Html("".join(_escaped(part) for part in parts if part is not None))


def table(headings: Iterable[str], rows: Iterable[Iterable[str]], *, class_: str = "") -> Html:
    """Return a table that scrolls sideways in its own box; an "n:" heading aligns numbers right.

    A "stacked" one has its cells below each other where the screen is narrow.
    """
    names = list(headings)
    kinds = ["number" if name.startswith("n:") else None for name in names]
    head = [
        element("th", name.removeprefix("n:"), scope="col", class_=kind)
        for name, kind in zip(names, kinds, strict=True)
    ]
    columns = [
        {"class_": kind, "data_name": name.removeprefix("n:") if "stacked" in class_ else None}
        for name, kind in zip(names, kinds, strict=True)
    ]
    body = [
        element("tr", *(element("td", c, **how) for c, how in zip(row, columns, strict=True)))
        for row in rows
    ]
    filled = element(
        "table", element("thead", element("tr", *head)), element("tbody", *body), class_=class_
    )
    return element("div", filled, class_="scroll")


def long_table(headings: Iterable[str], rows: Sequence[Iterable[str]], *, class_: str = "") -> Html:
    """Return a table as `table` does; what is beyond its first `MOST_ROWS` rows is folded away."""
    names = list(headings)
    shown, more = rows[:MOST_ROWS], rows[MOST_ROWS:]
    if not more:
        return table(names, shown, class_=class_)
    summary = element("summary", f"{len(more):,} more")
    folded = element("details", summary, table(names, more, class_=class_))
    return join([table(names, shown, class_=class_), folded])


def section(anchor: str, title: str, lead: str, *content: str | None) -> Html:
    """Return a titled part of the page with one sentence that says what it shows."""
    return element(
        "section",
        element("h2", title),
        element("p", lead, class_="lead") if lead else None,
        *content,
        id=anchor,
    )


def legend(entries: Iterable[tuple[str, str]]) -> Html:
    """Return swatches with captions, from (CSS class of the swatch, caption)."""
    items = [
        element("li", element("span", class_=f"swatch {kind}"), caption)
        for kind, caption in entries
    ]
    return element("ul", *items, class_="legend")


def toggles(layers: Iterable[tuple[str, str, bool]]) -> Html:
    """Return switches of layers, from (layer, name, whether it is on); the style sheet hides a
    layer whose box is not ticked.
    """
    boxes = [
        element(
            "label",
            element("input", type="checkbox", id=f"show-{layer}", checked=on, autocomplete="off"),
            " " + name,
        )
        for layer, name, on in layers
    ]
    return element("div", *boxes, class_="toggles")


def _escaped(part: str) -> str:
    return part if isinstance(part, Html) else html.escape(part)


def _attribute(name: str, value: object) -> str:
    if value is None or value is False:
        return ""
    plain = name.removesuffix("_").replace("_", "-")
    if value is True:
        return f" {plain}"
    return f' {plain}="{html.escape(_number(value) if isinstance(value, float) else str(value))}"'


def _number(value: float) -> str:
    """Return a coordinate to a hundredth, which keeps a large map's page small."""
    if not math.isfinite(value):
        raise ValueError(f"a coordinate is {value}; it must be finite")
    return f"{value:.2f}".rstrip("0").rstrip(".")
