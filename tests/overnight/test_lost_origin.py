"""The simulated microscope on a stage without switches, which forgets its place; and a Sangaboard
that restarts beneath the simulated specimen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from calibration.routines import ensure
from firmware_bridge.board.bench_plant import BenchPlant
from firmware_bridge.board.pty_host import PtyHost
from firmware_bridge.drivers.sangaboard.emulator import V1, SangaboardFirmware
from runtime.cli.commands.demo import against_the_truth
from runtime.clock import SystemClock
from runtime.errors import HardwareFailed
from runtime.instrument.opening import open_microscope
from runtime.night.run import carry_out
from runtime.ports import Position, Stage
from runtime.record.journal import Journal
from runtime.record.run_folder import RunFolder
from runtime.tile import StagePosition
from tests.simulated import by_itself, looped

OFF_UM = (61.0, -44.0, 7.0)
PLAN = """
name: lost
objective: 10x
grid: {rows: 4, columns: 4, centre_um: [0, 0]}
overlap: 0.15
focus: {range_um: 80, sweep_every: 6}
"""


@dataclass
class Motors:
    """What lasts from one process to the next: where the motors truly stand, how many moves they
    have made, and in which one they slide and the board restarts.
    """

    at_um: tuple[float, float, float] = (0.0, 0.0, 0.0)
    moves: int = 0
    loses_at: int = -1


class Switchless:
    """The simulated stage without its switches: what it calls a place lies `ahead_um` from the
    truth.
    """

    finds_origin = False

    def __init__(self, stage: Stage, motors: Motors) -> None:
        self._stage, self._motors = stage, motors
        self.stage_id, self.failsafe, self.limits = stage.stage_id, stage.failsafe, stage.limits
        stage.home()
        x, y, z = motors.at_um
        stage.move_to(x_um=x, y_um=y, z_um=z)
        self.ahead_um = (0.0, 0.0, 0.0)
        self.known = self.lost = False

    def home(self) -> None:
        self.ahead_um = tuple(-um for um in self._true())
        self.known = True

    def stand_at(self, *, x_um: float, y_um: float, z_um: float) -> None:
        self.ahead_um = tuple(np.subtract((x_um, y_um, z_um), self._true()).tolist())
        self.known, self.lost = True, False

    def forget(self) -> None:
        self.lost, self.known = self.lost or self.known, False

    def position(self) -> Position:
        if not self.known:
            raise HardwareFailed("the stage does not know where it stands")
        x, y, z = np.add(self._true(), self.ahead_um).tolist()
        return StagePosition(x_um=x, y_um=y, z_um=z)

    def move_to(self, **named: Any) -> Position:
        self.position()
        motors, axes = self._motors, ("x_um", "y_um", "z_um")
        motors.moves += 1
        if motors.moves == motors.loses_at:
            there = dict(zip(axes, np.add(self._true(), OFF_UM).tolist(), strict=True))
            self._stage.move_to(**there)
            motors.at_um = self._true()
            self.forget()
            raise HardwareFailed("the board restarted")
        real = {
            axis: None if named.get(axis) is None else named[axis] - ahead
            for axis, ahead in zip(axes, self.ahead_um, strict=True)
        }
        self._stage.move_to(**real)
        motors.at_um = self._true()
        return self.position()

    def stop(self) -> None:
        self._stage.stop()

    def _true(self) -> tuple[float, ...]:
        at = self._stage.position()
        return at.x_um, at.y_um, at.z_um


@dataclass
class Microscope:
    """The simulated one on motors without switches; `stages` are those of each opening."""

    motors: Motors = field(default_factory=Motors)
    stages: list[Switchless] = field(default_factory=list)

    @contextmanager
    def open(self, settings: Any, *, truth: Any = None) -> Iterator[Any]:
        with open_microscope(settings, truth=truth) as rig:
            stage = Switchless(rig.stage, self.motors)
            self.stages.append(stage)
            yield replace(rig, stage=stage, declared=stage)


def go_on(folder: RunFolder, opened: Any) -> dict[str, Any]:
    return carry_out(
        folder,
        open_microscope=opened,
        calibrate=ensure,
        console=Console(quiet=True),
        clock=SystemClock(),
    )


def journaled(folder: RunFolder, question: Callable[[Journal], Any]) -> Any:
    journal = Journal(folder.journal)
    try:
        return question(journal)
    finally:
        journal.close()


def calibrated_then(microscope: Microscope, moves: int) -> Callable[..., Any]:
    """Return what opens the microscope, which loses its place so many moves into the scan."""
    openings = 0

    @contextmanager
    def opened(settings: Any, *, truth: Any = None) -> Iterator[Any]:
        nonlocal openings
        openings += 1
        if openings == 2:  # the first was for calibrating
            microscope.motors.loses_at = microscope.motors.moves + moves
        with microscope.open(settings, truth=truth) as rig:
            yield rig

    return opened


@pytest.mark.slow
def test_a_simulated_night_goes_on_and_its_map_is_as_good(tmp_path):
    folder, microscope = RunFolder(tmp_path / "night"), Microscope()
    folder.create(plan_text=PLAN, settings_text=by_itself(speed=1000))
    summary = go_on(folder, calibrated_then(microscope, 90))
    assert (summary["tiles_done"], summary["origins_found"]) == (16, 1)
    (found,) = journaled(folder, lambda journal: journal.fact("origins_found"))
    off_um = np.abs(microscope.stages[-1].ahead_um)
    assert (off_um[:2] <= 3 * found["sigma_um"]).all()
    assert off_um[2] <= 3 * found["sigma_z_um"] + 1.0
    assert against_the_truth(folder)["position_error_px"]["p95"] <= 0.3


@pytest.mark.slow
def test_a_simulated_night_that_was_cut_off_is_resumed_where_the_stage_was_pushed_to(tmp_path):
    folder, microscope = RunFolder(tmp_path / "night"), Microscope()
    folder.create(plan_text=PLAN, settings_text=by_itself(speed=1000))
    cut = Microscope(motors=microscope.motors)
    with pytest.raises(HardwareFailed, match="restarted"):
        go_on(folder, unaware(cut, calibrated_then(cut, 90)))
    assert 0 < len(journaled(folder, lambda journal: journal.tiles())) < 16
    microscope.motors.loses_at = -1
    summary = go_on(folder, microscope.open)
    assert (summary["tiles_done"], summary["origins_found"]) == (16, 1)
    (found,) = journaled(folder, lambda journal: journal.fact("origins_found"))
    off_um = np.abs(microscope.stages[-1].ahead_um)
    assert (off_um[:2] <= 3 * found["sigma_um"]).all()
    assert against_the_truth(folder)["position_error_px"]["p95"] <= 0.3


def unaware(microscope: Microscope, opened: Any) -> Any:
    """Return the same opening of which a night does not know that its place can be found."""

    @contextmanager
    def blindly(settings: Any, *, truth: Any = None) -> Iterator[Any]:
        with opened(settings, truth=truth) as rig:
            yield replace(rig, declared=None)

    return blindly


SPECIMEN_UM = (0, 0, 0)


@pytest.mark.slow
def test_a_sangaboard_that_restarts_in_the_night_is_told_where_it_stands(tmp_path):
    plant = BenchPlant()
    firmware = SangaboardFirmware(plant, build=replace(V1, step_delay_us=1, boot_s=0.0))
    with PtyHost(firmware, clock=SystemClock()) as host:
        axis = "{ step_nm = %d, travel_um = [-%d, %d] }"
        told = "\n".join(
            f"{name} = {axis % (step, travel, travel)}"
            for name, step, travel in (("x", 100, 5000), ("y", 100, 5000), ("z", 50, 500))
        )
        settings = looped(host.port, specimen_um=SPECIMEN_UM, size_px=(384, 512))
        settings = settings.replace('driver = "native"', 'driver = "sangaboard"')
        settings = settings.replace("watchdog_ms = 5000", f"origin_here = true\n{told}")
        plan = """
name: sangaboard
objective: 10x
light: cc
grid: {rows: 3, columns: 3, centre_um: [0, 0]}
overlap: 0.2
focus: {range_um: 80, sweep_every: 6}
"""
        folder = RunFolder(tmp_path / "night")
        accepted = f'[instrument]\naccept_without_failsafe = ["sangaboard@{host.port}"]\n'
        folder.create(plan_text=plan, settings_text=settings + accepted)
        lit = plant.set_light

        def restart_when_lit(*, channel: int, level: int) -> None:
            lit(channel=channel, level=level)
            if level and not restarts and len(list((folder.path / "tiles").glob("*.tif"))) == 5:
                restarts.append(plant.steps)
                host.reset()

        restarts: list[Any] = []
        plant.set_light = restart_when_lit  # type: ignore[method-assign]
        summary = go_on(folder, open_microscope)
    assert (summary["tiles_done"], summary["origins_found"]) == (9, 1)
    assert len(restarts) == 1
    (found,) = journaled(folder, lambda journal: journal.fact("origins_found"))
    last = journaled(folder, lambda journal: journal.last_tile()).shot.stage
    off_um = np.abs(np.array(plant.steps) * (0.1, 0.1, 0.05) - (last.x_um, last.y_um, last.z_um))
    assert (off_um[:2] <= 3 * found["sigma_um"]).all()
    assert off_um[2] <= 3 * found["sigma_z_um"]
    assert against_the_truth(folder)["position_error_px"]["p95"] <= 0.3
