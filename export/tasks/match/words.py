"""What the card of a matching model says of its task."""

from __future__ import annotations

from export.bundle.card import Words
from export.tasks.match.config import MatchConfig

MEASURES = {
    "matched": "cells matched within 3 px, of those that can be",
    "precision": "matches within 3 px",
    "within_1px": "of those, within 1 px",
}
NOTES = (
    "Images are pairs of strips here, drawn with their truth: noise from a twentieth of the signal",
    "to twice as much, defocus, shading, turns of up to 10°, bent frames, empty resin, and some",
    "that have no place in common. A pair is judged by whether 8 cells or more are matched.",
)
LIMITS = (
    "- It knows no scale but its own: strips that differ by more than a twentieth in scale, or by",
    "  more than 10° in direction, are not matched.",
    "- It says where cells seem to match, not whether the strips have anything in common: that is",
    "  decided by how many agree on one motion, against the chance of it.",
    "- On a lattice it may choose a place a period off, as surely as the right one.",
)


def words_of(config: MatchConfig) -> Words:
    """Return the words for a model that takes strips of the packed shape."""
    packed = config.packed
    return Words(
        purpose="Finds which cells of 8 px of two overlapping border strips show the same place.",
        takes=(
            f"- Two strips of {packed.width_px} × {packed.height_px} px, of 8 to 16 bits, along",
            "  the border that two tiles share; where that stands upright, both turned by 90°.",
        ),
        eight_bits="all layers that have weights; how alike cells are is told in fp32",
        alike="judges",
        measures=MEASURES,
        notes=NOTES,
        refuses=(),
        limits=LIMITS,
    )
