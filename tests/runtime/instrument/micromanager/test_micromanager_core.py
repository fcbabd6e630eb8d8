"""Opening a configuration, bounded waits, and a library that is not there."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from runtime.clock import SystemClock
from runtime.errors import ConfigRefused, HardwareFailed
from runtime.instrument.errors import Stalled
from runtime.instrument.micromanager.core import open_core

ROOT = Path(__file__).parents[4]


def test_without_the_extra_the_error_names_it(config, monkeypatch):
    monkeypatch.setitem(sys.modules, "pymmcore_plus", None)
    with pytest.raises(HardwareFailed, match=r"pip install 'nightscope\[micromanager\]'"):
        open_core(config, clock=SystemClock())


def test_the_library_comes_up_only_with_a_core():
    code = """if True:
        import runtime.instrument.opening, sys
        from runtime.instrument.micromanager import camera, light, stage, turret
        print("\\n".join(sys.modules))
    """
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(ended.stdout.split())
    assert "runtime.instrument.micromanager.core" in loaded
    assert not {"pymmcore", "pymmcore_plus"} & loaded


def test_absent_configuration_is_refused(tmp_path):
    with pytest.raises(ConfigRefused, match="absent"):
        open_core(tmp_path / "none.cfg", clock=SystemClock())


def test_absent_adapters_are_named(config, tmp_path):
    pytest.importorskip("mm_test_adapters", reason="needs the dev extra on x86-64")
    with pytest.raises(HardwareFailed, match="adapters are not found"):
        open_core(config, clock=SystemClock(), adapters=tmp_path / "none")


def test_a_device_that_does_not_load_is_named_in_one_line(tmp_path):
    pytest.importorskip("mm_test_adapters", reason="needs the dev extra on x86-64")
    wrong = tmp_path / "wrong.cfg"
    wrong.write_text("Device,Robot,NoSuchLibrary,Arm\n")
    with pytest.raises(HardwareFailed, match="NoSuchLibrary") as caught:
        open_core(wrong, clock=SystemClock())
    assert "\n" not in str(caught.value)


def test_a_label_that_is_not_there_lists_those_that_are(core):
    with pytest.raises(ConfigRefused, match=r"'Lamp'.*White.*LED Shutter"):
        core.device("Lamp")


def test_identity_holds_library_name_label_and_serial_number(core):
    assert core.identity("XY") == "DemoCamera-DXYStage-XY"
    assert core.identity("Camera") == "DemoCamera-DCam-Camera-V1.0"


def test_the_library_calls_no_python_of_its_own_accord(core):
    # Its thread may call while the core is taken down, which ends the process now and then.
    plus = pytest.importorskip("pymmcore_plus")
    assert not isinstance(core.mm, plus.CMMCorePlus)


def test_closing_unloads_every_device_once(core):
    core.close()
    assert tuple(core.mm.getLoadedDevices()) == ("Core",)
    core.close()


def test_a_call_that_hangs_is_given_up_and_those_behind_it_are_never_made(core):
    release, made = threading.Event(), []
    with pytest.raises(Stalled, match="no end in time"):
        core.ask("lamp", lambda: release.wait(), timeout_s=0.05)
    with pytest.raises(Stalled, match="second"):
        core.ask("second", lambda: made.append("second"), timeout_s=0.05)
    release.set()
    core.ask("third", lambda: made.append("third"))
    assert made == ["third"]


def test_a_mistake_of_ours_comes_out_as_itself_and_the_thread_goes_on(core):
    with pytest.raises(ZeroDivisionError):
        core.ask("sum", lambda: 1 // 0)
    assert core.ask("sum", lambda: 1 + 1) == 2


def test_a_device_that_stays_busy_is_given_up(broken):
    core = broken(deviceBusy=lambda label: True)
    with pytest.raises(Stalled, match=r"White is busy.*limit 0\.05 s"):
        core.wait_until_still("White", timeout_s=0.05)


def test_every_wait_goes_through_the_clock(config):
    pytest.importorskip("mm_test_adapters", reason="needs the dev extra on x86-64")
    waits, waited = [], threading.Semaphore(0)

    class Counting(SystemClock):
        def sleep(self, *, duration_s):
            waits.append(duration_s)
            waited.release()
            super().sleep(duration_s=duration_s)

    core = open_core(config, clock=Counting())
    while waited.acquire(blocking=False):
        pass
    core.ask("exposure", lambda: [waited.acquire() for _ in range(9)])
    core.close()
    assert len(waits) >= 9
    assert max(waits) <= 0.01
