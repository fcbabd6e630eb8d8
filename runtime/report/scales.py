"""Colour: scales that readers with any colour vision can tell apart, in light and dark."""

from __future__ import annotations

from runtime.tile import VISIBLE_PX

# Ten steps of cividis: perceptually even, and nearly the same to a colour-blind reader (Nuñez,
# Anderton & Renslow 2018, doi:10.1371/journal.pone.0199239).
SEQUENTIAL = (
    "#00204d", "#00336f", "#39486b", "#575c6d", "#707173",
    "#8a8779", "#a69d75", "#c4b56c", "#e4cf5b", "#ffea46",
)  # fmt: skip

# Residuals in pixels up to which a seam belongs to each step; what a reader of the map can just
# see is one of them. The CSS classes s0 to s3 colour them, and thicken the worse ones.
SEAM_STEPS_PX = (0.25, VISIBLE_PX, 1.0)

# The style sheet colours the classes k0 to k6 (Okabe & Ito's qualitative set).
CLASS_COLOURS = 7


def sequential(fraction: float) -> str:
    """Return the colour at `fraction` from 0 (dark) to 1 (light), as "#rrggbb"."""
    at = min(max(fraction, 0.0), 1.0) * (len(SEQUENTIAL) - 1)
    low = min(int(at), len(SEQUENTIAL) - 2)
    mixed = [
        round(a + (b - a) * (at - low))
        for a, b in zip(_rgb(SEQUENTIAL[low]), _rgb(SEQUENTIAL[low + 1]), strict=True)
    ]
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


def seam_step(residual_px: float) -> int:
    """Return which step of `SEAM_STEPS_PX` a residual belongs to, 0 (best) to 3."""
    return sum(residual_px > edge for edge in SEAM_STEPS_PX)


def class_colour(index: int) -> str:
    """Return the CSS class of the n-th label; colours repeat after seven labels."""
    return f"k{index % CLASS_COLOURS}"


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
