"""A finished night can be asked whether it is what it was, and what rot took is made again."""

import errno
import io
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from rich.console import Console

from runtime.cli.commands.runs import report
from runtime.cli.commands.verify import rebuild, verify
from runtime.errors import ConfigRefused, InputRefused, ModelRefused
from runtime.night import finish as finishing
from runtime.record.run_folder import RunFolder
from runtime.report.run_data import read_run
from tests.night_fakes import PLAN, SETTINGS, Bench, Night
from tests.runtime.night.test_journey import outcome

SQUARE = PLAN.replace("rows: 3, columns: 3", "rows: 2, columns: 2")
DERIVED = (
    "map.geojson", "map.ome.tif", "map.ome.zarr", "map.png", "report.html", "stage.geojson",
    "tiles.csv",
)  # fmt: skip


def checked(night):
    return verify(run=night.path, console=Console(quiet=True))


def drawn(night):
    """Return the bytes of the map in all its forms, and of the shapes and tables beside it."""
    root = night.path
    files = [p for p in (root / "map.ome.zarr").rglob("*") if p.is_file()]
    whole = [*files, *(root / name for name in DERIVED if (root / name).is_file())]
    whole.remove(root / "report.html")
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in whole if p.suffix != ".jsonl"}


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    night = Night(tmp_path_factory.mktemp("ledger") / "night", Bench(), plan=SQUARE)
    night.go_on()
    return night


@pytest.fixture
def night(original, tmp_path):
    """A night that is over, to be spoilt; its bench is new."""
    return Night(Path(shutil.copytree(original.path, tmp_path / "night")), Bench(), plan=SQUARE)


def test_a_finished_run_is_as_recorded_down_to_its_exports(original):
    told = checked(original)
    assert (told["exit_code"], told["flaws"], told["tiles"]) == (0, [], 4)
    kept = original.read(lambda journal: journal.kept("derived"))
    assert tuple(row.file for row in kept) == DERIVED
    sealed = {row.file for row in original.read(lambda journal: journal.kept("sealed"))}
    assert {"plan.yaml", "settings.toml"} < sealed
    assert any(name.startswith("models/match/") for name in sealed)
    assert any(name.startswith("calibration/dark") for name in sealed)


@pytest.mark.parametrize("name", ["map.png", pytest.param("report.html", marks=pytest.mark.slow)])
@pytest.mark.parametrize("spoil", [lambda file: file.write_bytes(b""), Path.unlink])
def test_a_derived_file_that_was_altered_or_lost_is_named(night, name, spoil):
    spoil(night.path / name)
    told = checked(night)
    assert told["exit_code"] == 5
    assert [(flaw["kind"], flaw["file"]) for flaw in told["flaws"]] == [("derived", name)]


def test_one_lost_chunk_of_the_map_is_noticed(night):
    next((night.path / "map.ome.zarr" / "0").rglob("c/0/0")).unlink()
    assert [flaw["file"] for flaw in checked(night)["flaws"]] == ["map.ome.zarr"]


def test_it_is_rebuilt_to_the_byte_without_an_instrument(night, original):
    shutil.rmtree(night.path / "map.ome.zarr")
    for name in set(DERIVED) - {"map.ome.zarr"}:
        (night.path / name).unlink()
    kept = io.StringIO()
    assert rebuild(run=night.path, console=Console(file=kept, width=80))["exit_code"] == 0
    assert kept.getvalue().startswith("Done\n  made again: map, exports and report\n")
    assert "4 of 4 tiles taken" in kept.getvalue()
    assert "Needs attention: nothing" in kept.getvalue()
    assert drawn(night) == drawn(original)
    assert checked(night)["flaws"] == []
    assert night.bench.frames == []


@pytest.mark.slow  # the map is made again in the test above, too
def test_resume_makes_lost_exports_again_and_moves_nothing(night, original):
    (night.path / "map.ome.tif").write_bytes(b"rotten")
    next((night.path / "map.ome.zarr" / "0").rglob("c/0/0")).write_bytes(b"rotten")
    assert night.go_on()["exit_code"] == 0
    assert drawn(night) == drawn(original)
    assert checked(night)["flaws"] == []
    assert (night.bench.moves, night.bench.frames) == ([], [])


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(Path.unlink, id="lost", marks=pytest.mark.slow),
        pytest.param(
            lambda file: file.write_bytes(file.read_bytes()[:999]),
            id="truncated",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            lambda file: file.write_bytes(file.read_bytes()[:-1] + b"\x00\x01"), id="altered"
        ),
    ],
)
def test_resume_takes_a_tile_again_whose_file_is_not_what_it_was(night, original, spoil):
    spoil(night.path / "tiles" / "r000_c001.tif")
    (flaw,) = checked(night)["flaws"]
    assert (flaw["kind"], flaw["tile_id"]) == ("tile", "r000_c001")
    assert night.go_on()["tiles_done"] == 4
    assert len(night.bench.frames) == 1
    order, places, _ = outcome(night)
    assert sorted(order) == sorted(outcome(original)[0])
    assert places == outcome(original)[1]
    assert checked(night)["flaws"] == []
    assert "is taken again" in " ".join(e.message for e in night.read(lambda j: j.events()))


@pytest.mark.parametrize("name", ["calibration/dark@*.npy", "models/keys/*.pub"])
def test_what_results_depend_on_is_not_made_up(night, name):
    file = next(night.path.glob(name))
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    assert [flaw["kind"] for flaw in checked(night)["flaws"]] == ["sealed"]
    with pytest.raises(InputRefused, match="Restore it from a copy"):
        night.go_on()
    assert night.bench.frames == []


def test_another_model_in_the_runs_own_folder_is_refused(night):
    bundle = next(night.path.glob("models/match/*"))
    bundle.write_bytes(b"another")
    with pytest.raises(ModelRefused, match="not the one the run began with"):
        rebuild(run=night.path, console=Console(quiet=True))


def test_an_export_that_cannot_be_written_does_not_end_the_night(tmp_path, monkeypatch):
    night = Night(tmp_path / "night", Bench(), plan=SQUARE)

    def broken(*_, **__):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(finishing, "write_ome_tiff", broken)
        summary = night.go_on()
    assert summary["exit_code"] == 5
    assert list(summary["unwritten"]) == ["map.ome.tif"]
    assert night.read(lambda journal: journal.fact("state")) == "finished"
    assert "map.ome.tif could not be written" in (night.path / "report.html").read_text()
    assert checked(night)["flaws"] == []
    assert night.go_on()["exit_code"] == 0
    assert (night.path / "map.ome.tif").stat().st_size > 0


def test_the_report_written_again_is_the_one_that_is_verified(night):
    folder = RunFolder(night.path)
    with night.journal() as journal:
        journal.event(at=Bench().instant(), level="info", kind="note", message="a word more")
        finishing.renew_report(folder, journal)
    assert checked(night)["flaws"] == []
    assert "a word more" in folder.report.read_text()


def test_matches_are_found_anew_only_when_they_are_asked_for(night, original):
    """What is journaled of an overlap is spoilt."""
    with night.journal() as journal:
        (found,) = journal.matches_of("r000_c001").shifts
        spoilt = replace(found, dx_px=found.dx_px + 9)
        journal.set_shift("r000_c001", spoilt)

    def known():
        return night.read(lambda journal: journal.matches_of("r000_c001").shifts)

    rebuild(run=night.path, console=Console(quiet=True))
    assert known() == (spoilt,)
    rebuild(run=night.path, console=Console(quiet=True), matches=True)
    assert known() == (found,)
    assert drawn(night) == drawn(original)
    assert checked(night)["flaws"] == []


def test_a_run_without_a_model_cannot_be_labelled_anew(night):
    with pytest.raises(ConfigRefused, match="has no model to label with"):
        rebuild(run=night.path, console=Console(quiet=True), labels=True)
    assert checked(night)["flaws"] == []


def test_a_run_without_tiles_has_nothing_to_rebuild(tmp_path):
    folder = RunFolder(tmp_path / "night")
    folder.create(plan_text=PLAN, settings_text=SETTINGS)
    with pytest.raises(InputRefused, match="holds no tile"):
        rebuild(run=folder.path, console=Console(quiet=True))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda ground: ground.pop("stage_from_px"),
        lambda ground: ground.update(stage_from_px=[[1.0, 2.0], [2.0, 4.0]]),
        lambda ground: ground.update(shape_px=[128]),
        lambda ground: ground.update(bounds_px="everywhere"),
    ],
)
def test_what_a_map_lies_on_is_named_where_the_journal_was_damaged(night, spoil):
    with night.journal() as journal:
        ground = journal.fact("ground")
        spoil(ground)
        journal.note(ground=ground)
    quiet = Console(quiet=True)
    for ask in (rebuild, report):
        with pytest.raises(InputRefused, match=r"journal\.sqlite: cannot be read"):
            ask(run=night.path, console=quiet)
    with night.journal() as journal, pytest.raises(InputRefused, match="cannot be read"):
        read_run(night.path, journal)


def overwrite(file):
    """Leave a picture that can be read, and is another."""
    tifffile.imwrite(file, np.zeros_like(tifffile.imread(file)))


@pytest.mark.parametrize("spoil", [overwrite, Path.unlink, lambda file: file.write_bytes(b"II*")])
def test_no_map_is_made_of_a_tile_that_is_not_what_was_taken(night, original, spoil):
    spoil(next((night.path / "tiles").glob("r001_c000*")))
    with pytest.raises(InputRefused, match=r"r001_c000.*(altered|missing).*takes it again"):
        rebuild(run=night.path, console=Console(quiet=True))
    assert drawn(night) == drawn(original)
