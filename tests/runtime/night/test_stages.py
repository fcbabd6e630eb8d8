"""The table of stages: whole, in order, and enough to do a night again from its stored tiles."""

import inspect
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest

from runtime.calibrated.correct import NoCorrection
from runtime.errors import ConfigRefused
from runtime.night.acquire import Acquirer
from runtime.night.intake import Intake
from runtime.night.stages import (
    CONTROL,
    RECORD,
    SECOND_LOOK,
    STAGES,
    WORKER,
    Journey,
    budgets,
    catch_up,
    take_in,
    take_up,
)
from runtime.record.budget import Meter
from runtime.record.journal import Journal
from runtime.record.rows import FocusRow
from runtime.record.run_folder import RunFolder
from runtime.record.storage import read_pixels
from runtime.stitch.map.mosaic import Mosaic
from runtime.stitch.stitcher import Stitcher
from runtime.tile import FocusVerdict, Label, Picture
from tests.runtime.made import shot
from tests.runtime.stitch.stitch_scans import SHAPE_PX, scan

SIDES = {CONTROL: Acquirer, WORKER: Intake}


class CountingClock:
    """Every question takes a millisecond."""

    def __init__(self):
        self.now = 0

    def now_s(self):
        self.now += 1
        return self.now / 1000


class OddEven:
    """Calls tiles by their mean, and remembers how many it saw."""

    def __init__(self):
        self.seen = 0

    def classify(self, picture, *, raw):
        assert raw.shape == picture.pixels.shape
        self.seen += 1
        name = "odd" if int(picture.pixels.mean()) % 2 else "even"
        return Label(name=name, score=1.0, scores={name: 1.0})


def intake_of(folder, classifier=None):
    journal_file = folder / "journal.sqlite"
    for name in ("tiles", "regions"):
        (folder / name).mkdir(exist_ok=True)
    return Intake(
        folder=RunFolder(folder),
        journal=Journal(journal_file, create=True),
        corrector=lambda _: NoCorrection(),
        classifier=classifier,
        stitcher=Stitcher(px_from_stage=np.eye(2), stage_sigma_px=2.0, shape_px=SHAPE_PX),
        mosaic=Mosaic(
            folder / "map.ome.zarr",
            tile_shape_px=SHAPE_PX,
            pixel_size_um=0.5,
            dtype=np.dtype(np.uint16),
            name="made",
            simulated=False,
            bounds_px=(0.0, 0.0, 900.0, 800.0),
            boot_id="one boot",
        ),
    )


def journeys(made):
    for n, tile in enumerate(made.tiles):
        taken = shot(tile.tile_id, at_um=(tile.x_um, tile.y_um, 0.0), time_s=float(n))
        verdict = FocusVerdict(status="ok", z_um=0.0, sigma_z_um=0.1)
        focus = FocusRow(tile_id=tile.tile_id, source="fixed", verdict=verdict)
        yield Journey(
            tile_id=tile.tile_id, phase="overview", focus=focus, shot=taken, raw=tile.pixels
        )


def derived(journal):
    tiles = journal.tiles()
    matches = {tile.tile_id: journal.matches_of(tile.tile_id) for tile in tiles}
    return journal.labels(), matches, journal.placements()


@pytest.fixture
def night(tmp_path):
    """Return the intake of a small overview that was taken in, and its classifier."""
    classifier = OddEven()
    intake = intake_of(tmp_path, classifier)
    meter = Meter(CountingClock(), budgets({}))
    for journey in journeys(scan(rows=3, columns=3)):
        take_in(intake, journey, meter)
    yield intake, classifier
    intake.journal.close()


def test_every_need_is_given_by_an_earlier_stage_of_the_same_phases():
    given = dict.fromkeys(("planned", "hurried"), ("overview", "visit"))
    for stage in STAGES:
        for need in stage.needs:
            assert need in given, f"{stage.name} needs {need}"
            assert set(stage.phases) <= set(given[need]), f"{stage.name} needs {need}"
        given |= dict.fromkeys(stage.gives, stage.phases)


def test_what_flows_is_a_field_of_the_journey_and_of_the_type_that_is_taken():
    journey = get_type_hints(Journey)
    assert {f.name for f in fields(Journey)} >= {n for s in STAGES for n in s.needs + s.gives}
    for stage in STAGES:
        parameters = list(inspect.signature(stage.run).parameters)[1:]
        hints = get_type_hints(stage.run)
        assert len(parameters) == len(stage.needs), stage.name
        for parameter, need in zip(parameters, stage.needs, strict=True):
            assert journey[need] in (hints[parameter], hints[parameter] | None), stage.name


def test_every_stage_runs_on_the_side_it_names_and_the_control_loop_comes_first():
    assert all(getattr(SIDES[s.on], s.run.__name__) is s.run for s in STAGES)
    sides = [stage.on for stage in STAGES]
    assert sides == sorted(sides)  # "control" before "worker"


def test_what_is_kept_can_be_had_again_and_the_other_way_round():
    assert all(stage.already for stage in STAGES if stage.keeps)


def test_the_page_on_architecture_shows_the_table():
    page = (Path(__file__).parents[3] / "docs" / "architecture.md").read_text(encoding="utf-8")
    where = {CONTROL: "control loop", WORKER: "worker"}
    for s in STAGES:
        needs, gives = ", ".join(s.needs), ", ".join(s.gives)
        row = f"| {s.name} | {s.budget_ms:g} | {where[s.on]} | {needs} | {gives} |"
        assert row.replace("  ", " ") in page, s.name


def test_the_budgets_are_those_of_the_table_and_the_instruments_own_win():
    rows = budgets({"focus": 5000.0})
    assert [row.stage for row in rows] == [
        *(stage.name for stage in STAGES),
        RECORD.stage,
        SECOND_LOOK.stage,
    ]
    assert {row.stage for row in rows if row.mechanics} == {"move", "focus", "expose", "watch"}
    assert [row.budget_ms for row in rows if row.stage in ("move", "focus")] == [2000.0, 5000.0]


def test_a_budget_for_no_stage_is_refused_by_name():
    with pytest.raises(
        ConfigRefused, match=r"unknown stage; value budgets_ms\.focsu; limit move, "
    ):
        budgets({"focsu": 100.0})


def test_a_tile_taken_in_is_stored_labelled_matched_placed_and_timed(night):
    intake, _ = night
    labels, matches, placements = derived(intake.journal)
    tiles = {tile.tile_id for tile in intake.journal.tiles()}
    assert len(tiles) == 9
    assert labels.keys() == matches.keys() == placements.keys() == tiles
    timed = [t.stage for t in intake.journal.timings() if t.tile_id == "r0_c1"]
    assert timed == ["store", "correct", "classify", "register", "solve", "render", "record"]
    focus = intake.journal.focus()
    assert focus.keys() == tiles


def test_solving_is_timed_without_matching_and_writing():
    """Matching, solving and recording are rows of their own, so no one hides in another's."""
    names = [stage.name for stage in STAGES]
    assert names.index("register") < names.index("solve") < names.index("render")
    assert "record" not in names
    assert Intake.solve.__code__.co_names.count("journal") == 0


def test_a_visit_is_stored_and_no_more(tmp_path):
    intake = intake_of(tmp_path, OddEven())
    journey = next(journeys(scan(rows=1, columns=1)))
    visit = Journey(
        tile_id=journey.tile_id,
        phase="visit",
        focus=journey.focus,
        shot=shot(journey.tile_id, phase="visit", region_id="region01"),
        raw=journey.raw,
    )
    take_in(intake, visit, Meter(CountingClock(), budgets({})))
    assert (tmp_path / "regions" / f"{journey.tile_id}.tif").is_file()
    assert derived(intake.journal) == ({}, {journey.tile_id: None}, {})
    assert intake.journal.tiles("visit")[0].shot.region_id == "region01"
    intake.journal.close()


def test_a_night_is_derived_again_from_its_stored_tiles_without_an_instrument(night, tmp_path):
    intake, _ = night
    intake.settle()
    before = derived(intake.journal)
    for table in ("labels", "matched", "shifts", "placements"):
        intake.journal._db.execute(f"DELETE FROM {table}")
    intake.journal.close()
    classifier = OddEven()
    again = intake_of(tmp_path, classifier)
    catch_up(again)
    again.settle()
    assert classifier.seen == 9
    labels, matches, placements = derived(again.journal)
    assert labels == before[0]
    assert matches == before[1]
    for tile_id, place in placements.items():
        assert place.x_px == pytest.approx(before[2][tile_id].x_px, abs=0.01)
        assert place.y_px == pytest.approx(before[2][tile_id].y_px, abs=0.01)
    again.journal.close()


def test_a_resumed_night_reads_no_tile_from_which_all_is_derived(night, tmp_path, monkeypatch):
    """And of those the next tiles touch, each once: the fourth row's first lies below r2_c2."""
    intake, _ = night
    intake.settle()
    intake.journal.close()
    read = []
    monkeypatch.setattr("runtime.night.intake.read_pixels", counted(read))
    classifier = OddEven()
    again = intake_of(tmp_path, classifier)
    catch_up(again)
    assert (read, classifier.seen) == ([], 0)
    whole = scan(rows=4, columns=3)
    *_, following = list(journeys(whole))[:10]
    matches = again.register(
        following.shot, Picture(pixels=following.raw, pixel_size_um=0.5), hurried=False
    )
    assert read == ["r2_c2"]
    assert [shift.method for shift in matches.shifts] == ["phase"]
    again.journal.close()


def counted(read):
    def read_and_noted(path):
        read.append(path.stem)
        return read_pixels(path)

    return read_and_noted


def test_a_resumed_night_reads_and_judges_only_what_is_missing(night, tmp_path, monkeypatch):
    intake, _ = night
    intake.journal._db.execute("DELETE FROM labels WHERE tile_id = 'r1_c1'")
    intake.journal.close()
    read = []
    monkeypatch.setattr("runtime.night.intake.read_pixels", counted(read))
    classifier = OddEven()
    again = intake_of(tmp_path, classifier)
    for stored in again.journal.tiles():
        take_up(again, stored)
    assert (read, classifier.seen) == (["r1_c1"], 1)
    assert len(again.journal.labels()) == 9
    again.journal.close()
