"""Overlaps that nothing was found in at once: looked at again when there is time."""

import dataclasses

import numpy as np
import pytest

from runtime.night.second_looks import SecondLooks
from runtime.night.stages import SECOND_LOOK, budgets, catch_up, take_in
from runtime.record.budget import Meter
from runtime.stitch.stitcher import Stitcher
from tests.runtime.night.test_stages import CountingClock, intake_of, journeys
from tests.runtime.stitch.oracle import Oracle, faint_scan
from tests.runtime.stitch.stitch_scans import SHAPE_PX, add

NOISE = 1620.0
"""Too much for phase correlation, and not for a network and the pixels near where it points."""


class Night:
    """The compute side of a faint scan, with a network that is asked for overlaps, or none."""

    def __init__(self, folder, made, *, network=True):
        oracle = Oracle(made)
        self.oracle, self.made = oracle, made
        self.stitcher = Stitcher(
            px_from_stage=np.eye(2),
            stage_sigma_px=2.0,
            shape_px=SHAPE_PX,
            network=lambda: oracle if network else None,
        )
        self.intake = dataclasses.replace(intake_of(folder), stitcher=self.stitcher)
        self.meter = Meter(CountingClock(), budgets({}))
        self.looks = SecondLooks(intake=self.intake, meter=self.meter, asks=network)

    def take(self, count, *, hurried=False):
        for journey in list(journeys(self.made))[:count]:
            taken = dataclasses.replace(journey, hurried=hurried)
            self.looks.note(take_in(self.intake, taken, self.meter))

    def matches(self):
        journal = self.intake.journal
        return {t.tile_id: journal.matches_of(t.tile_id).shifts for t in journal.tiles()}

    def methods(self):
        return [shift.method for shifts in self.matches().values() for shift in shifts]


@pytest.fixture(scope="module")
def made():
    return faint_scan(rows=2, columns=2, noise=NOISE)


@pytest.fixture
def night(made, tmp_path):
    night = Night(tmp_path, made)
    yield night
    night.intake.journal.close()


def test_the_network_is_asked_between_tiles_and_what_it_finds_counts_from_then_on(night, made):
    night.take(len(made.tiles))
    assert night.oracle.asked == 0
    before = night.methods()
    assert before.count("none") >= 2
    places = night.intake.journal.placements()
    while night.looks.one():
        pass
    assert night.oracle.asked > 0
    assert night.methods().count("none") <= 1
    assert night.methods().count("loftr") >= before.count("none") - 1
    after = night.intake.journal.placements()
    assert np.mean(made.errors_px(after)) < 0.5 * np.mean(made.errors_px(places))
    seen = {timing.stage for timing in night.meter.drain()}
    assert SECOND_LOOK.stage in seen


def test_nothing_is_looked_at_twice(night, made):
    night.take(3)
    left = len(night.looks)
    assert left == night.methods().count("none")
    assert [night.looks.one() for _ in range(left + 2)] == [True] * left + [False] * 2


@pytest.mark.slow
def test_what_is_found_later_is_what_the_whole_ladder_finds_at_once(night, made):
    at_once = Stitcher(
        px_from_stage=np.eye(2), stage_sigma_px=2.0, shape_px=SHAPE_PX, network=lambda: Sure(made)
    )
    night.stitcher._rungs = at_once._rungs
    night.take(len(made.tiles), hurried=True)
    while night.looks.one():
        pass
    found = {tile.tile_id: add(at_once, tile).shifts for tile in made.tiles}
    assert night.matches() == found


class Sure(Oracle):
    """Says the same however often it is asked."""

    def find(self, first, second):
        self.asked = 0
        return super().find(first, second)


def test_without_a_network_only_hurried_tiles_are_looked_at_again(made, tmp_path):
    night = Night(tmp_path, made, network=False)
    night.take(3)
    assert len(night.looks) == 0
    assert "none" in night.methods()
    night.intake.journal.close()
    hurried = tmp_path / "hurried"
    hurried.mkdir()
    night = Night(hurried, made, network=False)
    night.take(3, hurried=True)
    assert len(night.looks) == night.methods().count("none") > 0
    night.intake.journal.close()


@pytest.mark.slow
def test_an_interrupted_night_looks_again_at_what_is_left(night, made, tmp_path):
    night.take(len(made.tiles))
    night.looks.one()
    left = night.methods().count("none")
    night.intake.journal.close()
    again = Night(tmp_path, made)
    catch_up(again.intake)
    again.looks.recall()
    assert len(again.looks) == left
    while again.looks.one():
        pass
    assert again.methods().count("none") < left
    again.intake.journal.close()
