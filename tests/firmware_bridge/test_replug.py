"""A plug pulled and put back, at rest and in a move, over a line that damages bytes.

Whatever is said afterwards, the light is off within a second of the plug's being back, and the
board is still the one it was. The slow tests here do it fifty times each.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from firmware_bridge.board.bench_plant import BENCH_BOARD, BenchPlant
from firmware_bridge.board.pty_host import Firmware
from firmware_bridge.drivers.brand import BoardOptions
from firmware_bridge.drivers.grbl.board import GrblOptions
from firmware_bridge.drivers.grbl.emulator import GrblFirmware
from firmware_bridge.drivers.illuminate.board import IlluminateOptions
from firmware_bridge.drivers.illuminate.emulator import IlluminateFirmware
from firmware_bridge.drivers.registry import brand
from firmware_bridge.drivers.sangaboard.emulator import V1, SangaboardFirmware
from firmware_bridge.errors import (
    BridgeError,
    DeviceRebooted,
    FirmwareIncompatible,
    LinkInterrupted,
    PositionUnknown,
)
from firmware_bridge.line.faults import Faults
from tests.boards.sangaboard import sangaboard_with
from tests.boards.virtual_line import Cable, VirtualClock, plugged_in

BAD = Faults.bytewise(0.002)
DARK_WITHIN_S = 1.0
STEPS_PER_S = 5000.0
WAY_UM = 1000.0  # two seconds
TRIES = 20


@dataclass(frozen=True, kw_only=True)
class Rig:
    """A board on a bench: what it runs, how it is opened, and its world."""

    firmware: Firmware
    driver: str
    options: BoardOptions
    plant: BenchPlant


def grbl(**settings: float) -> Rig:
    plant = BenchPlant(steps_per_s=STEPS_PER_S)
    numbered = {name.removeprefix("s"): value for name, value in settings.items()}
    firmware = GrblFirmware(plant, name="stage-7", settings=numbered)
    return Rig(firmware=firmware, driver="grbl", options=GrblOptions(), plant=plant)


def sangaboard() -> Rig:
    plant = BenchPlant(steps_per_s=STEPS_PER_S)
    build = replace(V1, step_delay_us=round(1e6 / STEPS_PER_S))
    options = sangaboard_with(BENCH_BOARD.axes, origin_here=True)
    firmware = SangaboardFirmware(plant, build=build)
    return Rig(firmware=firmware, driver="sangaboard", options=options, plant=plant)


def illuminate() -> Rig:
    plant = BenchPlant()
    firmware = IlluminateFirmware(plant)
    return Rig(firmware=firmware, driver="illuminate", options=IlluminateOptions(), plant=plant)


class Replugged:
    """A plug that is back: when, and when the light was off after that."""

    def __init__(self, rig: Rig, cable: Cable, clock: VirtualClock) -> None:
        self._rig, self._cable, self._clock = rig, cable, clock
        self._back_s: float | None = None
        self.dark_after_s: float | None = None
        clock.watch = self._watch

    def pull(self, after_s: float = 0.0, *, away_s: float = 0.3) -> None:
        """Have the plug pulled, and put back later."""
        self._clock.after(after_s, self._cable.unplug)
        self._clock.after(after_s + away_s, self._put_back)

    def _put_back(self) -> None:
        self._cable.replug()
        self._back_s = self._clock.now_s()

    def _watch(self, now_s: float) -> None:
        if self._back_s is not None and self.dark_after_s is None and not self._rig.plant.light:
            self.dark_after_s = now_s - self._back_s


def ready(board: Any) -> None:
    """Home and light up; over a bad line a restart is a matter of bytes."""
    for _ in range(TRIES):
        try:
            if board.stage is not None:
                board.stage.home()
            return board.light.on(channel=board.light.channels[0], brightness=1.0)
        except (DeviceRebooted, PositionUnknown):
            continue
    pytest.fail(f"not ready in {TRIES} tries")


def replug(rig: Rig, *, moving: bool, faults: Faults, seed: int) -> tuple[BridgeError, float]:
    """Return what was said, and how long the light was on after the plug was back."""
    with plugged_in(rig.firmware, faults=faults, seed=seed) as (cable, clock):
        board: Any = brand(rig.driver).open(cable.port, clock=clock, options=rig.options)
        ready(board)
        assert rig.plant.light
        plug = Replugged(rig, cable, clock)
        plug.pull(0.5 if moving else 0.0)
        clock.sleep(duration_s=0.0)
        with pytest.raises(BridgeError) as caught:
            if board.stage is None:
                board.light.on(channel="left", brightness=1.0)
            elif moving:
                board.stage.move_to(x_um=-WAY_UM)
            else:
                board.stage.position()
        board.close()
        assert not rig.plant.light
        assert plug.dark_after_s is not None
        return caught.value, plug.dark_after_s


RIGS = {"grbl": grbl, "sangaboard": sangaboard}


@pytest.mark.parametrize("moving", [False, True], ids=["at rest", "in a move"])
@pytest.mark.parametrize("make", RIGS.values(), ids=RIGS)
def test_the_light_is_off_within_a_second(make: Callable[[], Rig], moving: bool) -> None:
    for seed in range(4):
        check(make(), moving, seed)


@pytest.mark.slow
@pytest.mark.parametrize("moving", [False, True], ids=["at rest", "in a move"])
@pytest.mark.parametrize("make", RIGS.values(), ids=RIGS)
def test_fifty_times(make: Callable[[], Rig], moving: bool) -> None:
    for seed in range(100, 150):
        check(make(), moving, seed)


def check(rig: Rig, moving: bool, seed: int) -> None:
    said, dark_after_s = replug(rig, moving=moving, faults=BAD, seed=seed)
    assert not isinstance(said, FirmwareIncompatible), f"seed {seed}: {said}"
    assert dark_after_s <= DARK_WITHIN_S, f"seed {seed}: {dark_after_s:.2f} s"
    assert isinstance(said, (LinkInterrupted, PositionUnknown)), f"seed {seed}: {said}"


def test_a_grbl_that_kept_its_power_keeps_its_place() -> None:
    for moving in (False, True):
        said, _ = replug(grbl(), moving=moving, faults=Faults(), seed=1)
        assert isinstance(said, LinkInterrupted)


def test_an_array_is_dark_again_too() -> None:
    said, dark_after_s = replug(illuminate(), moving=False, faults=BAD, seed=1)
    assert isinstance(said, LinkInterrupted)
    assert dark_after_s <= DARK_WITHIN_S


def test_a_stage_that_slows_down_for_long_is_not_lit_for_it() -> None:
    """Half a millimetre a second at 0.1 mm/s² takes five seconds to stop; M5 waits for that."""
    said, dark_after_s = replug(grbl(s120=0.1), moving=True, faults=Faults(), seed=1)
    assert isinstance(said, PositionUnknown)
    assert dark_after_s <= DARK_WITHIN_S


def test_a_slow_board_is_the_one_it_was() -> None:
    """Its light takes as long as its line does, and no second can be promised."""
    slow = Faults.bytewise(0.002, gap=0.01)
    for moving in (False, True):
        said, _ = replug(grbl(), moving=moving, faults=slow, seed=2)
        assert isinstance(said, (LinkInterrupted, PositionUnknown))


def pulled_while(act: Callable[[Rig, Cable], None]) -> tuple[Rig, BridgeError]:
    """Return a rig whose plug was pulled at rest, and what was said after `act` and a replug."""
    rig = grbl()
    with plugged_in(rig.firmware) as (cable, clock):
        board: Any = brand(rig.driver).open(cable.port, clock=clock, options=rig.options)
        ready(board)
        cable.unplug()
        act(rig, cable)
        cable.replug()
        with pytest.raises(BridgeError) as caught:
            board.stage.position()
        assert not rig.plant.light
    return rig, caught.value


def test_another_board_is_dark_before_it_is_refused() -> None:
    def swap(rig: Rig, cable: Cable) -> None:
        other = GrblFirmware(rig.plant, name="stage-8")
        cable.restart(other)
        other.receive(b"$X\nM3S1000\n", 0.0)

    _, said = pulled_while(swap)
    assert isinstance(said, FirmwareIncompatible)
    assert "another board answers on this port than before; value STAGE-8" in str(said)


def test_changed_settings_are_called_that_and_the_light_is_off_first() -> None:
    def change(rig: Rig, _cable: Cable) -> None:
        rig.firmware.settings["100"] = 250.0  # type: ignore[attr-defined]

    _, said = pulled_while(change)
    assert isinstance(said, FirmwareIncompatible)
    assert (
        "GRBL's settings were changed while it was away; value $100=250; limit $100=10000"
        in str(said)
    )


def test_a_setting_that_nothing_needs_may_change() -> None:
    def change(rig: Rig, _cable: Cable) -> None:
        rig.firmware.settings["12"] = 0.5  # type: ignore[attr-defined]

    _, said = pulled_while(change)
    assert isinstance(said, LinkInterrupted)


def test_a_limit_hit_while_the_plug_is_out_is_no_silent_board() -> None:
    """Deaf since an alarm that nobody heard, it is reset, and only then asked."""

    def hit(rig: Rig, _cable: Cable) -> None:
        rig.firmware.trip_hard_limit(0.0)  # type: ignore[attr-defined]

    _, said = pulled_while(hit)
    assert isinstance(said, PositionUnknown)
