"""A stage without switches that forgets where it stands in the middle of a night."""

import re
import signal
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import pytest

from runtime.errors import HardwareFailed, Stopped
from runtime.instrument.errors import OriginUnknown
from runtime.instrument.rig import Rig
from runtime.ports import CameraFrame
from runtime.report.night_ending import night_ending
from runtime.tile import StageLimits, StagePosition
from tests import night_fakes
from tests.night_fakes import PLAN, Bench, Night, specimen

OFF_UM = (37.0, -23.0, 5.0)


@dataclass
class Declared(Bench):
    """A bench without switches: what it calls a place is where it really stands and `ahead_um`.

    With each frame whose number is in `loses_at` it restarts and slides by `slid_um`; it knows no
    place then. `dust` is seen at the same pixels in every frame; a `stuck` stage says that it moves
    and does not; it keeps `within` its travel.
    """

    ahead_um: tuple[float, float, float] = (0.0, 0.0, 0.0)
    slid_um: tuple[float, float, float] = (0.0, 0.0, 0.0)
    loses_at: tuple[int, ...] = ()
    known: bool = False
    lost: bool = False
    stuck: bool = False
    dust: np.ndarray | None = None
    within: StageLimits = Bench.limits
    homed_at: list[tuple[float, float, float]] = field(default_factory=list)
    finds_origin = False

    def __post_init__(self) -> None:
        self.limits = self.within

    def home(self) -> None:
        if self.lost:
            raise OriginUnknown("it has no switches")
        super().home()
        self.homed_at.append(self.at_um)
        self.ahead_um = tuple(-um for um in self.at_um)
        self.known = True

    def stand_at(self, *, x_um: float, y_um: float, z_um: float) -> None:
        self.ahead_um = tuple(np.subtract((x_um, y_um, z_um), self.at_um).tolist())
        self.homed = self.known = True
        self.lost = False

    def forget(self) -> None:
        self.lost, self.known = self.lost or self.known, False

    def position(self) -> StagePosition:
        if not self.known:
            raise HardwareFailed("the stage lost its position")
        x_um, y_um, z_um = np.add(self.at_um, self.ahead_um).tolist()
        return StagePosition(x_um=x_um, y_um=y_um, z_um=z_um)

    def move_to(
        self, *, x_um: float | None = None, y_um: float | None = None, z_um: float | None = None
    ) -> StagePosition:
        self.position()
        stood, named = self.at_um, (x_um, y_um, z_um)
        x, y, z = (
            None if um is None else um - ahead
            for um, ahead in zip(named, self.ahead_um, strict=True)
        )
        super().move_to(x_um=x, y_um=y, z_um=z)
        for at, axis in zip(self.at_um, ("x_um", "y_um", "z_um"), strict=True):
            low, high = getattr(self.within, axis)
            assert low - 1e-6 <= at <= high + 1e-6, "moved out of its travel"
        if self.stuck:  # along x and y: it would find no focus otherwise
            says = np.add(self.ahead_um, self.at_um)
            self.at_um = (*stood[:2], self.at_um[2])
            self.ahead_um = tuple(np.subtract(says, self.at_um).tolist())
        return self.position()

    def capture(self, *, exposure_ms: float) -> CameraFrame:
        frame = super().capture(exposure_ms=exposure_ms)
        if len(self.frames) in self.loses_at:
            self.at_um = tuple(np.add(self.at_um, self.slid_um).tolist())
            self.forget()
            raise HardwareFailed("the board restarted")
        return frame

    def seen(self) -> np.ndarray:
        picture = super().seen()
        if self.dust is None:
            return picture
        return np.clip(picture + self.dust, 0, 4095).astype(np.uint16)

    def rig(self) -> Rig:
        return replace(super().rig(), declared=self)


def night_of(tmp_path, bench, plan=PLAN):
    return Night(tmp_path / "night", bench, plan=plan)


def origins(night):
    return night.read(lambda journal: journal.fact("origins_found", []))


def kinds(night):
    return [event.kind for event in night.read(lambda journal: journal.events())]


def stopped(tmp_path, *, after, plan=PLAN, **bench):
    """Return a night that was stopped after so many frames."""
    night = night_of(tmp_path, Declared(**bench), plan)
    night.bench.on_frame = lambda b: len(b.frames) == after and signal.raise_signal(signal.SIGTERM)
    with pytest.raises(Stopped):
        night.go_on()
    return night


def found_standing(night, at_um, **bench):
    """Give a stopped night a stage that really stands somewhere and does not know it."""
    night.bench = Declared(at_um=at_um, **bench)
    return night.bench


def paused(night, match):
    """Go on, see the night pause for a reason, and the stage believe in no place."""
    with pytest.raises(OriginUnknown, match=match):
        night.go_on()
    assert not night.bench.known
    assert night.read(lambda journal: journal.fact("state")) == "paused"
    assert match_event(night, match)
    assert origins(night) == []


def match_event(night, match):
    events = night.read(lambda journal: journal.events())
    return any(e.kind == "OriginUnknown" and re.search(match, e.message) for e in events)


def lattice(size=1400):
    y, x = np.mgrid[0:size, 0:size]
    return np.asarray(2000 + 300 * np.sin(x / 4) + 300 * np.sin(y / 5), np.float32)


def test_the_night_goes_on_where_the_map_says_it_stands(tmp_path):
    bench = Declared(loses_at=(6,), slid_um=OFF_UM)
    night = night_of(tmp_path, bench)
    summary = night.go_on()
    assert (summary["tiles_done"], summary["origins_found"]) == (9, 1)
    said = night.read(lambda journal: night_ending(night.path, journal, code=0)).done[-1]
    assert said.startswith("the stage's origin was found again by r0")
    assert "origin was found again by r0" in (night.path / "report.html").read_text()
    (found,) = origins(night)
    assert bench.ahead_um == pytest.approx((0, 0, 0), abs=0.3)
    assert len(bench.homed_at) == 2  # before calibrating and before scanning, never again
    assert kinds(night) == ["OriginLost", "OriginFound"]
    assert found["sigma_um"] <= 2.0
    assert 0 < found["sigma_z_um"] < 2.0


def test_a_resumed_night_looks_for_its_place_and_declares_none(tmp_path):
    night = stopped(tmp_path, after=6)
    last = night.read(lambda journal: journal.last_tile()).shot.stage
    bench = found_standing(night, tuple(np.add((last.x_um, last.y_um, last.z_um), OFF_UM)))
    assert night.go_on()["tiles_done"] == 9
    assert bench.homed_at == []
    assert bench.ahead_um == pytest.approx((0, 0, 0), abs=0.3)
    assert origins(night)[0]["offset_um"] == pytest.approx(OFF_UM, abs=0.5)


@pytest.mark.slow
def test_where_a_specimen_repeats_nothing_is_believed(tmp_path):
    night = stopped(tmp_path, after=6, world=lattice())
    last = night.read(lambda journal: journal.last_tile()).shot.stage
    found_standing(night, (last.x_um + 25.0, last.y_um, last.z_um), world=lattice())
    paused(night, "as well at|better than chance")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("world", "match"),
    [
        (specimen(seed=1), "better than chance|as well at"),
        (np.full((1400, 1400), 2000, np.float32), "focus is not found"),
    ],
)
def test_another_specimen_or_none_pauses_the_night(tmp_path, world, match):
    night = stopped(tmp_path, after=6)
    found_standing(night, (0.0, 0.0, 2.0), world=world)
    paused(night, match)


@pytest.mark.slow
def test_a_stage_that_is_stuck_contradicts_what_the_first_frame_said(tmp_path):
    night = stopped(tmp_path, after=6)
    found_standing(night, (20.0, 10.0, 2.0), stuck=True)
    paused(night, "contradicts the first")


@pytest.mark.slow
def test_dust_on_the_sensor_is_no_place(tmp_path):
    """It lies at the same pixels in every frame, and agrees with all tiles at no shift at all."""
    rng = np.random.default_rng(5)
    dust = cv2.GaussianBlur(rng.normal(size=(128, 160)).astype(np.float32), (0, 0), 2)
    night = stopped(tmp_path, after=6, dust=dust / dust.std() * 300)
    found_standing(night, (20.0, 10.0, 2.0), dust=night.bench.dust, world=specimen(seed=1))
    paused(night, "as well at|better than chance|contradicts|does not confirm")


@pytest.mark.slow
def test_dust_does_not_hide_the_place(tmp_path):
    rng = np.random.default_rng(5)
    dust = cv2.GaussianBlur(rng.normal(size=(128, 160)).astype(np.float32), (0, 0), 2)
    night = stopped(tmp_path, after=6, dust=dust / dust.std() * 100)
    bench = found_standing(night, (20.0, 10.0, 2.0), dust=night.bench.dust)
    assert night.go_on()["tiles_done"] == 9
    assert bench.ahead_um == pytest.approx((0, 0, 0), abs=0.5)


@pytest.mark.slow
def test_before_the_first_tile_there_is_nothing_to_find_it_by(tmp_path):
    night = night_of(tmp_path, Declared(loses_at=(1,)))
    with pytest.raises(HardwareFailed, match="restarted"):
        night.go_on()
    found_standing(night, (0.0, 0.0, 2.0))
    with pytest.raises(OriginUnknown, match=r"without taking a tile.*--origin-here"):
        night.go_on()
    assert night.bench.moves == []
    assert night.go_on(origin_here=True)["tiles_done"] == 9


@pytest.mark.slow
def test_an_origin_that_a_person_declares_is_checked_by_the_map(tmp_path):
    night = stopped(tmp_path, after=6)
    bench = found_standing(night, (30.0, 20.0, 0.0))
    assert night.go_on(origin_here=True)["tiles_done"] == 9
    assert bench.ahead_um == pytest.approx((0, 0, 0), abs=0.5)
    assert origins(night)[0]["offset_um"] == pytest.approx((30.0, 20.0, 0.0), abs=1.0)


@pytest.mark.slow
def test_a_board_that_forgets_again_and_again_pauses_the_night(tmp_path):
    night = night_of(tmp_path, Declared(loses_at=tuple(range(6, 500))))
    with pytest.raises(HardwareFailed, match="restarted"):
        night.go_on()
    assert len(night.bench.frames) < 20


@pytest.mark.slow
@pytest.mark.parametrize("room_um", [0.0, 300.0])
def test_it_moves_no_further_than_it_surely_may(tmp_path, room_um):
    """The night's places fill the travel but for the room: so far, and not a field further."""
    night = stopped(tmp_path, after=6)
    limits = StageLimits(
        x_um=(-72.0 - room_um, 60.0 + room_um),
        y_um=(-60.0 - room_um, 48.0 + room_um),
        z_um=(-100.0, 100.0),
    )
    blank = np.full((1400, 1400), 2000, np.float32)
    bench = found_standing(night, (15.0, 10.0, 2.0), world=blank, within=limits)
    paused(night, "focus is not found")
    went = np.abs(np.subtract([move[:2] for move in bench.moves], (15.0, 10.0))).max(axis=0)
    assert (went == 0).all() if room_um == 0 else ((went > 20) & (went <= 250)).all()


@pytest.mark.slow
def test_the_height_is_found_again_by_the_model_of_focus(tmp_path):
    surface = PLAN.replace("policy: fixed, start_z_um: 2", "policy: surface, start_z_um: 2")
    bench = Declared(loses_at=(30,), slid_um=OFF_UM)
    night = night_of(tmp_path, bench, surface)
    assert night.go_on()["tiles_done"] == 9
    assert bench.ahead_um == pytest.approx((0, 0, 0), abs=0.7)


@pytest.mark.slow
def test_tiles_out_of_focus_tell_no_height(tmp_path):
    plan = PLAN.replace("start_z_um: 2", "start_z_um: 14")
    night = stopped(tmp_path, after=6, plan=plan)
    found_standing(night, (20.0, 10.0, 14.0))
    paused(night, "out of focus|better than chance")


@pytest.mark.slow
def test_a_calibrated_stage_stands_at_its_origin_when_it_is_told_so(tmp_path, monkeypatch):
    calibrate = night_fakes.calibrate

    def wandering(rig, settings, **how):
        calibrate(rig, settings, **how)
        rig.stage.move_to(x_um=100.0, y_um=-50.0, z_um=5.0)

    monkeypatch.setattr(night_fakes, "calibrate", wandering)
    night = night_of(tmp_path, Declared())
    night.go_on()
    assert night.bench.homed_at == [(0.0, 0.0, 0.0)] * 2
