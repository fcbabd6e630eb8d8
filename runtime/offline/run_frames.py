"""Frames of a run, which lie raw in its folder: corrected as the run corrected them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from runtime.calibrated.correct import Corrector, NoCorrection
from runtime.calibrated.loaded import Calibrated
from runtime.calibrated.record import CalibrationRecord
from runtime.errors import InputRefused, NightscopeError
from runtime.record.journal import Journal
from runtime.record.run_folder import RunFolder
from runtime.record.storage import hash_of
from runtime.record.trouble import damage_is_named
from runtime.report.ending import Sentences
from runtime.tile import Pixels


@dataclass(frozen=True, slots=True)
class RunFrame:
    """How one frame is corrected, and the SHA-256 of the file that the run wrote."""

    corrector: Corrector
    sha256: str


@dataclass(frozen=True, slots=True)
class RunFrames:
    """How to correct the files of a folder, by name, and in words what was done or why nothing."""

    frames: Mapping[str, RunFrame] = field(default_factory=dict[str, RunFrame])
    words: Sentences = ()

    def corrected(self, file: Path, raw: Pixels, *, bottom_first: bool = False) -> Pixels | None:
        """Return the pixels of a file without dark level and uneven light, None where it is no
        frame of a run that knows them; `raw` was read with its lowest row first if `bottom_first`.

        Raises InputRefused for a file that is not the one the run wrote.
        """
        frame = self.frames.get(file.name)
        if frame is None:
            return None
        if hash_of(file) != frame.sha256:
            raise InputRefused(
                f"{file}: is not the frame that the run took",
                remedy="restore it, or label it in a folder of its own",
            )
        turn = slice(None, None, -1 if bottom_first else 1)
        try:
            return frame.corrector.apply(raw[turn])[turn]
        except ValueError as error:
            raise InputRefused(
                f"{file}: the run's own calibration does not fit it: {error}",
                remedy="restore the run's calibration, or label it in a folder of its own",
            ) from None


def run_frames(folder: Path) -> RunFrames:
    """Return how the frames of a run are corrected, where a folder is the one they lie in.

    A run that cannot be read is no reason to leave its frames alone: they are taken as they are.
    """
    run = RunFolder(folder.resolve().parent)
    if folder.resolve() not in (run.tiles, run.regions) or not run.journal.is_file():
        return RunFrames()
    try:
        frames = _frames(run)
    except NightscopeError as error:
        return RunFrames(words=(f"frames are taken as they are, uncorrected: {error}",))
    if not frames:
        return RunFrames()
    said = f"frames of the run {run.path.name} are corrected by its own dark level and flat field"
    return RunFrames(frames, (said,))


def _frames(run: RunFolder) -> dict[str, RunFrame]:
    journal = Journal(run.journal, look_on=True)
    try:
        with damage_is_named(journal.path):
            facts, taken = journal.fact("calibrations") or (), journal.tiles()
    finally:
        journal.close()
    records = [CalibrationRecord.model_validate(fact) for fact in facts]

    @cache
    def corrector(objective: str) -> Corrector:
        return Calibrated.correction(records, folder=run.calibration, objective=objective)

    of_files = {
        Path(one.file.file).name: RunFrame(corrector(one.shot.imaging.objective), one.file.sha256)
        for one in taken
    }
    return {
        name: frame
        for name, frame in of_files.items()
        if not isinstance(frame.corrector, NoCorrection)
    }
