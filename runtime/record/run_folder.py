"""The folder of one run: what lies where, who may write to it, and how it began."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Any, Self

from runtime.config.plan import Plan
from runtime.config.plan_file import load_plan
from runtime.config.reached import corrected_plugs, with_plugs
from runtime.config.settings import SealedModelsSection, Settings, load_settings
from runtime.config.strict import Strict
from runtime.errors import ConfigRefused, InputRefused, ModelRefused, NightscopeError
from runtime.record.journal import Journal
from runtime.record.ledger import entries
from runtime.record.place import place_of, put_in_place, refuse_occupied
from runtime.record.storage import (
    hash_of,
    make_folder,
    sweep_parts,
    sync_folder,
    write_durably,
    written_durably,
)
from runtime.record.trouble import nothing_to_resume, trouble_is_told

BALLAST_BYTES = 1 << 20
LOCK = ".lock"
BEGIN_AGAIN = "then begin the run again: none was begun"


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
    def models(self) -> Path:
        """Return the bundles the run works with, in a folder for each task, and in `keys` the
        public keys they were opened with when it began.
        """
        return self.path / "models"

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
    def shapes_px(self) -> Path:
        """Return regions, tiles and frames in pixels of the map."""
        return self.path / "map.geojson"

    @property
    def shapes_um(self) -> Path:
        """Return regions, tiles and frames in micrometres of the stage."""
        return self.path / "stage.geojson"

    @property
    def tile_table(self) -> Path:
        """Return all tiles as a table."""
        return self.path / "tiles.csv"

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
        bundles: Mapping[str, Path] | None = None,
        keys: Sequence[Path] = (),
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        """Seal a run: lay it out beside its place, durable to the last file, and put it there in
        one rename, so that there is a whole run or none.

        It holds copies of the calibration `records` that it brings along, of the `bundles` it works
        with, by task, and of the public `keys`; its journal begins with `facts`. Relative paths in
        the settings hang on the folder `paths_from`, or on this one. What a crash leaves beside its
        place is no run; the next `create` clears it away. Raises ConfigRefused where something else
        lives already.
        """
        place = place_of(self.path)
        make_folder(place.parent)
        refuse_occupied(place)
        aside = RunFolder(place.with_name(f".{place.name}.part"))
        make_folder(aside.path)
        with (
            nothing_to_resume(BEGIN_AGAIN),
            RunLock(aside),
            _gone_if_refused(aside.path),
            trouble_is_told(f"making {place}"),
        ):
            aside.empty()
            for folder in (aside.tiles, aside.regions, aside.calibration, aside.models):
                make_folder(folder)
            write_durably(aside.plan, plan_text.encode())
            write_durably(aside.settings, settings_text.encode())
            for record in records:
                write_durably(aside.calibration / record.name, record.read_bytes())
            for key in keys:
                _copy(key, aside.models / "keys")
            sealed = {
                task: {"file": bundle.name, "sha256": _copy(bundle, aside.models / task)}
                for task, bundle in (bundles or {}).items()
            }
            paths = str(place if paths_from is None else paths_from.resolve())
            aside._begin(paths_from=paths, bundles=sealed, **(facts or {}))
            sync_folder(aside.path)
            put_in_place(aside.path, place)

    def empty(self) -> None:
        """Take everything out but the lock, which is held."""
        for found in self.path.iterdir():
            if found.is_dir():
                rmtree(found)
            elif found.name != LOCK:
                found.unlink()

    def _begin(self, **facts: Any) -> None:
        with written_durably(self.journal) as part:
            journal = Journal(part, create=True)
            journal.note(configuration=self.fingerprint(), state="created", **facts)
            self.keep_sealed(journal)
            journal.condense()
            journal.close()

    def keep_sealed(self, journal: Journal) -> None:
        """Enter the digests of all that results depend on."""
        sealed = (self.plan, self.settings, self.calibration, self.models)
        journal.keep("sealed", entries(sealed, below=self.path, kind="sealed"))

    def bundle(self, journal: Journal, task: str) -> Path | None:
        """Return the file of the model the run began with for a task, or None for none.

        Raises ModelRefused when it is missing, or another than it was.
        """
        sealed = (journal.fact("bundles") or {}).get(task)
        if sealed is None:
            return None
        file = self.models / task / str(sealed["file"])
        found = hash_of(file) if file.is_file() else None
        if found != sealed["sha256"]:
            raise ModelRefused(
                f"bundle {file}: is not the one the run began with",
                value="missing" if found is None else f"SHA-256 {found[:16]}",
                limit=str(sealed["sha256"])[:16],
                remedy="restore it from a copy: one run has one model from first tile to last",
            )
        return file

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
        """Return plan and settings, calibration, models and keys read from the run's own.

        Files that the settings name are looked for where they were when the run began.
        """
        settings = load_settings(self.settings, base=Path(journal.fact("paths_from") or self.path))
        own: dict[str, Strict] = {
            "calibration": settings.calibration.model_copy(update={"folder": self.calibration}),
            "models": SealedModelsSection(
                **settings.models.model_dump() | {"folder": self.models, "store": None}
            ),
        }
        told = settings.recording
        if told is not None and told.corrected_by is not None:
            own["recording"] = told.model_copy(update={"corrected_by": self.calibration})
        settings = with_plugs(settings, journal.fact("plugs") or {})
        return load_plan(self.plan).on(settings), settings.model_copy(update=own)

    def correct_plugs(self, journal: Journal, file: Path) -> dict[str, str]:
        """Keep from now on to where a settings file reaches the run's devices; return where.

        Raises ConfigRefused when anything else in it is not as it was when the run began.
        """
        base = Path(journal.fact("paths_from") or self.path)
        began = with_plugs(load_settings(self.settings, base=base), journal.fact("plugs") or {})
        plugs = corrected_plugs(began, load_settings(file, base=base))
        journal.note(plugs=plugs)
        return plugs

    def refuse_changed(self, journal: Journal) -> None:
        """Raise ConfigRefused when plan or settings are not those the run began with."""
        if journal.fact("configuration") != self.fingerprint():
            raise ConfigRefused(
                f"plan or settings in {self.path} changed since the run began",
                remedy="restore plan.yaml and settings.toml, or start a new run",
            )


@contextmanager
def _gone_if_refused(folder: Path) -> Iterator[None]:
    """Take a folder away whose making is refused: what could not be made needs no room."""
    try:
        yield
    except NightscopeError:
        rmtree(folder, ignore_errors=True)
        raise


def _copy(file: Path, folder: Path) -> str:
    """Copy a file into a folder, made if need be; return its SHA-256."""
    make_folder(folder)
    content = file.read_bytes()
    write_durably(folder / file.name, content)
    return hashlib.sha256(content).hexdigest()


class RunLock:
    """Only one process may work on a run."""

    def __init__(self, folder: RunFolder) -> None:
        self._path = folder.path / LOCK

    def __enter__(self) -> Self:
        with trouble_is_told(f"opening {self._path}"):
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


def is_held(folder: RunFolder) -> bool:
    """Return whether a process is working on a run."""
    try:
        file = os.open(folder.path / LOCK, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False
