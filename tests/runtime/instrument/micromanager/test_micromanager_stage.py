"""The demo stage: origins, stops, time-outs, and axes that stay where they are."""

import threading

import pytest

from runtime.errors import HardwareFailed
from runtime.instrument.errors import NotHomed, Rejected, Stalled
from runtime.instrument.micromanager.stage import MicroManagerStage
from runtime.tile import StageLimits

LIMITS = StageLimits(x_um=(-5000.0, 5000.0), y_um=(-5000.0, 5000.0), z_um=(-90.0, 90.0))


def opened(core, **options):
    return MicroManagerStage(core, limits=LIMITS, keeps_origin=("xy", "z"), **options)


def slow(core):
    """Let the demo stage take about 400 s for a whole travel."""
    core.mm.setProperty("XY", "Velocity", 0.01)


def test_its_id_names_both_drives_and_it_has_no_failsafe(core):
    stage = opened(core)
    assert stage.stage_id == "micromanager-DemoCamera-DXYStage-XY+DemoCamera-DStage-Z"
    assert stage.failsafe is False


def test_a_drive_that_cannot_home_says_what_to_do(core):
    stage = MicroManagerStage(core, limits=LIMITS)
    with pytest.raises(NotHomed, match=r"Z cannot home itself.*keeps_origin"):
        stage.home()
    with pytest.raises(NotHomed, match="home it first"):
        stage.move_to(x_um=1.0)


def test_drives_that_keep_their_origin_need_no_homing(core):
    core.mm.setPosition("Z", 12.0)
    assert opened(core).position().z_um == 12.0
    assert opened(core).move_to(z_um=3.0).z_um == 3.0


def test_homing_that_failed_takes_the_origin_away(broken):
    core = broken()
    stage = MicroManagerStage(core, limits=LIMITS, keeps_origin=("z",))
    stage.home()
    stage.position()

    def jammed(label):
        raise RuntimeError(f'Error in device "{label}": axis jammed (1042)')

    broken(home=jammed)
    with pytest.raises(HardwareFailed, match="axis jammed") as caught:
        stage.home()
    assert not isinstance(caught.value, NotHomed)
    with pytest.raises(NotHomed):
        stage.position()


def test_a_move_that_takes_too_long_is_stopped(core):
    slow(core)
    # Long enough for the command itself to be taken on a busy machine.
    with pytest.raises(Stalled, match=r"XY is busy.*limit 2 s"):
        opened(core, move_timeout_s=2.0).move_to(x_um=4000.0)
    assert not core.mm.deviceBusy("XY")
    assert abs(core.mm.getXYPosition("XY")[0]) < 4000.0


def test_stop_from_another_thread_ends_the_move(broken):
    core = broken()
    slow(core)
    begun, real = threading.Event(), core.mm.deviceBusy

    def busy(label):
        begun.set()
        return real(label)

    core = broken(deviceBusy=busy)
    stage = opened(core)
    stopper = threading.Thread(target=lambda: (begun.wait(), stage.stop()))
    stopper.start()
    with pytest.raises(Rejected, match="the move was stopped"):
        stage.move_to(x_um=4000.0)
    stopper.join()
    assert abs(stage.position().x_um) < 4000.0


def test_stop_gets_through_while_the_adapter_blocks(broken):
    release, stopped = threading.Event(), []

    def blocking(label, x_um, y_um):
        release.wait()

    def stop(label):
        stopped.append(label)
        release.set()

    stage = opened(broken(setXYPosition=blocking, stop=stop), move_timeout_s=0.05)
    with pytest.raises(Stalled, match="XY, move"):
        stage.move_to(x_um=10.0)
    assert stopped == ["XY", "Z"]


def test_stop_halts_the_focus_even_when_the_stage_cannot(broken):
    stopped = []

    def stop(label):
        stopped.append(label)
        if label == "XY":
            raise RuntimeError("no answer")

    with pytest.raises(HardwareFailed, match="no answer"):
        opened(broken(stop=stop)).stop()
    assert stopped == ["XY", "Z"]


def test_a_stage_that_ends_elsewhere_is_noticed(broken):
    core = broken()
    broken(getXYPosition=lambda label: (7.0, 0.0))
    with pytest.raises(Stalled, match=r"x did not reach its target; value 7 µm; limit 10 ± 1 µm"):
        opened(core).move_to(x_um=10.0)


def test_the_noise_of_the_encoder_does_not_walk_the_other_axis_away(broken):
    core = broken()
    told, read = [], core.mm.getXYPosition

    def noisy(label):
        x_um, y_um = read(label)
        return x_um, y_um + 0.2

    def tell(label, x_um, y_um):
        told.append(y_um)
        core.mm._mm.setXYPosition(label, x_um, y_um)

    core = broken(getXYPosition=noisy, setXYPosition=tell)
    stage = opened(core)
    stage.move_to(x_um=0.0, y_um=30.0)
    for x_um in (10.0, 20.0, 30.0):
        stage.move_to(x_um=x_um)
    assert told == [30.0] * 4


def test_a_configuration_without_a_focus_drive_is_refused(core):
    core.mm.setFocusDevice("")
    with pytest.raises(HardwareFailed, match="Property,Core,Focus"):
        opened(core)
