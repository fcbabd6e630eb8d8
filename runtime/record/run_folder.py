"""The folder of one run: what lies where, who may write to it, and how it began."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from runtime.config.plan import Plan
from runtime.config.plan_file import load_plan
from runtime.config.settings import Settings, load_settings
from runtime.config.strict import Strict
from runtime.errors import ConfigRefused, InputRefused
from runtime.record.journal import Journal
from runtime.record.storage import make_folder, sweep_parts, write_durably, written_durably

BALLAST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Paths of a run. Everything but `journal.sqlite`, `tiles/` and `regions/` can be rebuilt."""

    path: Path

    @property
    def journal(self) -> Path:
        """Return the only truth about the run."""
        return self.path / "journal.sqlite"

    @property
    def plan(self) -> Path:
        """Return the plan as started."""
        return self.path / "plan.yaml"

    @property
    def settings(self) -> Path:
        """Return the settings as started."""
        return self.path / "settings.toml"

    @property
    def calibration(self) -> Path:
        """Return the records the run works with, so that tiles can be corrected again later."""
        return self.path / "calibration"

    @property
    def tiles(self) -> Path:
        """Return the overview tiles, raw."""
        return self.path / "tiles"

    @property
    def regions(self) -> Path:
        """Return the high-magnification tiles, raw."""
        return self.path / "regions"

    @property
    def mosaic(self) -> Path:
        """Return the live OME-Zarr pyramid."""
        return self.path / "map.ome.zarr"

    @property
    def ome_tiff(self) -> Path:
        """Return the map as OME-TIFF."""
        return self.path / "map.ome.tif"

    @property
    def picture(self) -> Path:
        """Return the map as a picture."""
        return self.path / "map.png"

    @property
    def report(self) -> Path:
        """Return the page to open in the morning."""
        return self.path / "report.html"

    @property
    def truth(self) -> Path:
        """Return the log of a simulated world's true states, which the pipeline never reads."""
        return self.path / "truth.jsonl"

    @property
    def ballast(self) -> Path:
        """Return the file given up on a full disk so that the journal can still say why."""
        return self.path / ".ballast"

    def create(
        self,
        *,
        plan_text: str,
        settings_text: str,
        paths_from: Path | None = None,
        records: Sequence[Path] = (),
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        """Lay the folder out, with copies of calibration `records` that the run brings along, and
        `facts` that its journal begins with.

        Relative paths in the settings hang on the folder `paths_from`, or on this one. The run
        begins when its journal appears, which is last and whole: what a crash before that leaves
        behind is no run, and another `create` replaces it. Raises ConfigRefused when a run lives
        here already.
        """
        for folder in (self.path, self.tiles, self.regions, self.calibration):
            make_folder(folder)
        with RunLock(self):
            if self.journal.exists():
                raise ConfigRefused(
                    f"{self.path} already holds a run",
                    remedy=f"`nightscope resume {self.path}` it, or choose another --out",
                )
            sweep_parts(self.path)
            write_durably(self.plan, plan_text.encode())
            write_durably(self.settings, settings_text.encode())
            for record in records:
                write_durably(self.calibration / record.name, record.read_bytes())
            paths_from = self.path if paths_from is None else paths_from
            self._begin(paths_from=str(paths_from.resolve()), **(facts or {}))

    def _begin(self, **facts: Any) -> None:
        with written_durably(self.journal) as part:
            journal = Journal(part, create=True)
            journal.note(configuration=self.fingerprint(), state="created", **facts)
            journal.close()

    def make_ready(self) -> None:
        """Clear away what a crash left half-written, and lay in ballast for a full disk."""
        for folder in (self.path, self.tiles, self.regions):
            sweep_parts(folder)
        if not self.ballast.exists():
            write_durably(self.ballast, bytes(BALLAST_BYTES))

    def fingerprint(self) -> str:
        """Return the hash of plan and settings; a resumed run must find the same."""
        digest = hashlib.sha256()
        for file in (self.plan, self.settings):
            try:
                digest.update(file.read_bytes())
            except OSError as error:
                raise InputRefused(f"{file}: {error.strerror}", remedy="restore it") from None
        return digest.hexdigest()

    def configuration(self, journal: Journal) -> tuple[Plan, Settings]:
        """Return plan and settings, calibration read from the run's own records.

        Files that the settings name are looked for where they were when the run began.
        """
        settings = load_settings(self.settings, base=Path(journal.fact("paths_from") or self.path))
        own: dict[str, Strict] = {
            "calibration": settings.calibration.model_copy(update={"folder": self.calibration})
        }
        told = settings.recording
        if told is not None and told.corrected_by is not None:
            own["recording"] = told.model_copy(update={"corrected_by": self.calibration})
        return load_plan(self.plan).on(settings), settings.model_copy(update=own)

    def refuse_changed(self, journal: Journal) -> None:
        """Raise ConfigRefused when plan or settings are not those the run began with."""
        if journal.fact("configuration") != self.fingerprint():
            raise ConfigRefused(
                f"plan or settings in {self.path} changed since the run began",
                remedy="restore plan.yaml and settings.toml, or start a new run",
            )


class RunLock:
    """Only one process may work on a run."""

    def __init__(self, folder: RunFolder) -> None:
        self._path = folder.path / ".lock"

    def __enter__(self) -> Self:
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise ConfigRefused(
                f"another process is working on {self._path.parent}",
                remedy="wait for it, or stop it",
            ) from None
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)
