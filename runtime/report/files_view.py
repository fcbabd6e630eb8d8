"""The files of a run: a link to each, what it is, and how large."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from runtime.record.rows import StoredTile
from runtime.record.run_folder import RunFolder
from runtime.report.links import link_to
from runtime.report.markup import Html, element, join, section, table
from runtime.report.run_data import RunData
from runtime.report.wording import DASH, counted, file_size

KINDS = {
    ".ome.zarr": "an image in all its sizes, OME-Zarr: napari, Fiji and QuPath open the folder",
    ".ome.tif": "an image in all its sizes, OME-TIFF: QuPath, Fiji",
    ".geojson": "outlines, GeoJSON: QuPath, napari",
    ".csv": "a table: any spreadsheet",
    ".json": "numbers, JSON",
    ".png": "a picture, PNG",
    ".txt": "a text",
}
"""What a file is, by the end of its name, where nothing more is known of it."""
OWN = {
    "map.ome.zarr": "the map at full size, OME-Zarr: napari, Fiji and QuPath open the folder",
    "map.ome.tif": "the map at full size, OME-TIFF: QuPath, Fiji",
    "map.png": "the map as a picture, of 4,096 px at most",
    "map.geojson": "regions, tiles and frames in pixels of the map, GeoJSON: QuPath, napari",
    "stage.geojson": "regions, tiles and frames in micrometres of the stage, GeoJSON",
    "tiles.csv": "all tiles as a table: label, place, focus; any spreadsheet",
    "plan.yaml": "the plan, as the run began with it",
    "settings.toml": "the settings, as the run began with them",
    "calibration": "the calibration records that it works with",
    "models": "the models that it works with, and the keys they were opened with",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A file or folder by its path from the page, what it is, and its size where that is known."""

    file: str
    what: str
    size_bytes: int | None = None
    folder: bool = False


def files_section(run: RunData) -> Html:
    """Return the run's results, what it took and what it began with."""
    lead = join(
        [
            "Links hold as long as this page lies in the run's folder, wherever that is copied "
            "to. ",
            element("code", "nightscope verify"),
            " says whether all files are still as they were written.",
        ]
    )
    return section("files", "Files", lead, files_table((*_results(run), *_kept(run))))


def files_table(files: Iterable[Listed]) -> Html:
    """Return a row for every file, with a link to it."""
    rows = [
        (
            element("a", element("code", one.file), href=link_to(one.file, folder=one.folder)),
            one.what,
            DASH if one.size_bytes is None else file_size(one.size_bytes),
        )
        for one in files
    ]
    return table(["File", "What it is", "n:Size"], rows, class_="files stacked")


def kind_of(name: str) -> str:
    """Return what a file is, as far as its name tells."""
    return next((what for end, what in KINDS.items() if name.endswith(end)), "")


def _results(run: RunData) -> Iterator[Listed]:
    """Yield what was made of the tiles: all that the ledger has, or the map while it grows."""
    folder = RunFolder(run.folder)
    derived = [row for row in run.derived if row.file != folder.report.name]
    for row in derived:
        path = run.folder / row.file
        if not path.exists():
            yield Listed(file=row.file, what="missing: nightscope rebuild makes it again")
            continue
        what = OWN.get(row.file) or kind_of(row.file)
        yield Listed(file=row.file, what=what, size_bytes=row.size_bytes, folder=path.is_dir())
    if not derived and folder.mosaic.exists():
        name = folder.mosaic.name
        yield Listed(file=name, what=f"{OWN[name]}; it grows while the run goes on", folder=True)


def _kept(run: RunData) -> Iterator[Listed]:
    """Yield what was taken, the journal, and what the run began with.

    No size of what still grows: the page written again is to be the same.
    """
    folder = RunFolder(run.folder)
    for path, tiles, of in (
        (folder.tiles, run.overview, "the overview"),
        (folder.regions, run.visits, "visits"),
    ):
        if tiles:
            what = f"{counted(len(tiles), 'frame')} of {of} as they were taken, TIFF"
            yield Listed(
                file=path.name, what=what, size_bytes=_bytes_of(run.folder, tiles), folder=True
            )
    yield Listed(
        file=folder.journal.name,
        what="all that is known of the run, SQLite; this page is made from it",
    )
    sealed: defaultdict[str, int] = defaultdict(int)
    for row in run.sealed:
        sealed[PurePosixPath(row.file).parts[0]] += row.size_bytes
    for name, size_bytes in sealed.items():
        is_folder = (run.folder / name).is_dir()
        yield Listed(file=name, what=OWN.get(name, ""), size_bytes=size_bytes, folder=is_folder)
    if folder.truth.exists():
        what = "what really happened in the simulated world"
        yield Listed(file=folder.truth.name, what=what)


def _bytes_of(folder: Path, tiles: Iterable[StoredTile]) -> int:
    """Return how large files of tiles are together, those that are lost left out."""
    total = 0
    for tile in tiles:
        with suppress(OSError):
            total += (folder / tile.file.file).stat().st_size
    return total
