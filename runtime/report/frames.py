"""Frames for display, corrected with the run's own calibration records."""

from __future__ import annotations

from pathlib import Path

from runtime.calibrated.correct import Corrector, NoCorrection
from runtime.calibrated.record import latest
from runtime.errors import NightscopeError
from runtime.record.rows import StoredTile
from runtime.record.storage import read_pixels
from runtime.tile import Pixels


class FrameReader:
    """Reads the stored, raw frames of a run and takes dark and flat field out of them."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._correctors: dict[str, Corrector] = {}

    def read(self, tile: StoredTile) -> Pixels:
        """Return a frame's (y, x) pixels, as stored where the run kept no record that fits.

        Raises InputRefused when the file cannot be read.
        """
        raw = read_pixels(self._run_dir / tile.file.file)
        objective = tile.shot.imaging.objective
        if objective not in self._correctors:
            self._correctors[objective] = self._corrector(objective)
        try:
            return self._correctors[objective].apply(raw)
        except ValueError:
            return raw

    def _corrector(self, objective: str) -> Corrector:
        folder = self._run_dir / "calibration"
        try:
            dark = latest(folder, kind="dark")
            flat = latest(folder, kind="flat-field", objective=objective)
            if dark is None or flat is None:
                return NoCorrection()
            return Corrector.from_records(dark, flat, folder=folder)
        except NightscopeError:
            return NoCorrection()
