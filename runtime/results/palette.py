"""The colours of classes: those of the report (Okabe & Ito's qualitative set), as numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runtime.tile import BLANK_DOUBT, Label

Rgb = tuple[int, int, int]

CLASS_RGB: tuple[Rgb, ...] = (
    (0, 114, 178), (230, 159, 0), (0, 158, 115), (204, 121, 167), (213, 94, 0), (86, 180, 233),
    (240, 228, 66),
)  # fmt: skip
BLANK, IN_DOUBT, UNLABELLED = "blank", "in doubt", "unlabelled"
GREYS: Mapping[str, Rgb] = {
    BLANK: (235, 235, 235),
    IN_DOUBT: (120, 120, 120),
    UNLABELLED: (180, 180, 180),
}


def class_of(label: Label | None) -> str:
    """Return what a tile is shown as: its label's name, if that is to be trusted."""
    if label is None:
        return UNLABELLED
    if label.trusted:
        return label.name
    return BLANK if label.doubt == BLANK_DOUBT else IN_DOUBT


def rgb_of(shown: str, classes: Sequence[str]) -> Rgb:
    """Return the colour of what `class_of` returned, by its place among all classes; of a region
    whose label no tile has any more the grey of what has none.
    """
    if shown in classes:
        return CLASS_RGB[list(classes).index(shown) % len(CLASS_RGB)]
    return GREYS.get(shown, GREYS[UNLABELLED])
