"""What the card of a model for defocus says of its task."""

from __future__ import annotations

from export.bundle.card import Words
from export.tasks.focus.config import FocusConfig

MEASURES = {
    "mae_um": "mean absolute error of one crop, µm",
    "gained_um": "by how much that is less than if it always said 'in focus', µm",
    "within_depth": "crops right within a depth of field",
    "right_side": "of those further from focus than that, on its right side",
}
NOTES = (
    "Images are single crops here, drawn with their truth by waves: amplitude, weak phase and",
    "mixed specimens in turn, 1,500 to 8,000 electrons a pixel. A frame is the weighted median of",
    "up to six crops.",
)


def words_of(config: FocusConfig) -> Words:
    """Return the words for a model of a configuration."""
    optics = config.optics
    spans = (
        ("numerical aperture", optics.na, ""),
        ("wavelength", optics.wavelength_um, " µm"),
        ("pixel", optics.pixel_size_um, " µm"),
        ("sine of the LED's angle", optics.sine, ""),
    )
    return Words(
        purpose="Tells from one frame under one off-axis LED how far it was taken from focus, "
        f"within ±{optics.range_um:g} µm, and how sure it is.",
        takes=(
            f"- Crops of {config.side_px} × {config.side_px} px, of 8 to 16 bits, corrected; as "
            f"{' and '.join(config.inputs)}.",
            *(f"- {name}: {span[0]:g} to {span[1]:g}{unit}" for name, span, unit in spans),
        ),
        eight_bits="the streams; the head stays in fp32",
        alike="tells the side of focus of",
        measures=MEASURES,
        notes=NOTES,
        refuses=(
            "- An objective, a wavelength, a pixel size or an LED outside of the ranges above:",
            "  refused by name.",
        ),
        limits=(
            "- It was trained on simulated pictures alone.",
            "- Thick specimens, and several layers, it has never seen.",
            "- Up to twice its range it was taught to say so, or to be unsure; further away it may",
            "  say anything.",
        ),
    )
