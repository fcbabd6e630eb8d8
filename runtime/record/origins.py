"""Origins that were lost and found again, as a run keeps and tells them."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.tile import StagePosition

FOUND_AGAIN = "origins_found"
"""The fact that holds them all, in order."""

EVENT = "OriginFound"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundOrigin:
    """An origin found again: what the place was called before and is called now, how sure that is
    (1 σ), by which tiles, and beside which one it was checked and how far off that was.
    """

    believed: StagePosition
    found: StagePosition
    sigma_um: float
    sigma_z_um: float
    tiles: tuple[str, ...]
    checked: str
    off_um: float

    @property
    def offset_um(self) -> tuple[float, float, float]:
        """How far from where it was believed to be the stage stands, (x, y, z)."""
        old, new = self.believed, self.found
        return new.x_um - old.x_um, new.y_um - old.y_um, new.z_um - old.z_um

    def words(self, pixel_size_um: float) -> str:
        """Return it as a sentence."""
        x_um, y_um, z_um = self.offset_um
        old, new = self.believed, self.found
        return (
            f"the stage's origin was found again by {', '.join(self.tiles)}: what was believed to "
            f"be ({old.x_um:.1f}, {old.y_um:.1f}, {old.z_um:.1f}) µm is ({new.x_um:.1f}, "
            f"{new.y_um:.1f}, {new.z_um:.1f}) µm, off by ({x_um:.1f}, {y_um:.1f}, {z_um:.1f}) µm; "
            f"1 σ {self.sigma_um:.2f} µm ({self.sigma_um / pixel_size_um:.1f} px), in z "
            f"{self.sigma_z_um:.2f} µm; a second frame beside {self.checked} was {self.off_um:.2f} "
            "µm off"
        )
