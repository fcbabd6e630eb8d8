"""A loaded Micro-Manager configuration, asked in bounded time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from runtime.errors import ConfigRefused, HardwareFailed
from runtime.instant import Instant
from runtime.instrument.errors import Stalled
from runtime.instrument.micromanager.owner import Owner
from runtime.ports import Clock

if TYPE_CHECKING:
    from pymmcore import CMMCore

T = TypeVar("T")

# Serial devices answer within Micro-Manager's own 5 s time-out; twice that is a hang.
ANSWER_S = 10.0
# Loading initialises every device, and some home or warm up while they do.
LOAD_S = 120.0
# Most calls take microseconds, moves take seconds: look often at first, then seldom.
FIRST_POLL_S, LAST_POLL_S = 0.0002, 0.01
# Adapter libraries whose devices exist only in the computer.
SIMULATED_LIBRARIES = frozenset({"DemoCamera"})


class Core:
    """Micro-Manager's core behind one thread, so that the control loop waits through its clock.

    Adapters may block for longer than a board's watchdog allows. `stop` has a thread of its own.
    """

    def __init__(self, mm: CMMCore, *, clock: Clock) -> None:
        self.mm, self._clock = mm, clock
        self._owner, self._urgent = Owner("micromanager"), Owner("micromanager-stop")
        self._closed = False

    def ask(self, what: str, work: Callable[[], T], *, timeout_s: float = ANSWER_S) -> T:
        """Return what `work` gives. `what` names the device and the action in errors.

        Raises Stalled after `timeout_s`, and HardwareFailed for what the adapter reports.
        """
        return self._wait_for(self._owner, what, work, timeout_s)

    def ask_urgently(self, what: str, work: Callable[[], T]) -> T:
        """Return what `work` gives, ahead of everything else that was asked; from any thread."""
        return self._wait_for(self._urgent, what, work, ANSWER_S)

    def wait_until_still(self, device: str, *, timeout_s: float = ANSWER_S) -> None:
        """Wait until the device is not busy. Raises Stalled after `timeout_s`."""
        deadline_s, poll_s = self._clock.now_s() + timeout_s, FIRST_POLL_S
        while self.ask(f"{device}: busy?", partial(self.mm.deviceBusy, device)):
            if self._clock.now_s() > deadline_s:
                raise _late(f"{device} is busy", timeout_s)
            self._clock.sleep(duration_s=poll_s)
            poll_s = min(2 * poll_s, LAST_POLL_S)

    def instant(self) -> Instant:
        """Return this moment."""
        return self._clock.instant()

    def device(self, label: str) -> str:
        """Return a device's label. Raises ConfigRefused when the configuration has none such."""
        loaded = self.ask("list of devices", lambda: tuple(self.mm.getLoadedDevices()))
        if label not in loaded:
            raise ConfigRefused(
                "the Micro-Manager configuration has no such device",
                value=repr(label),
                limit=", ".join(loaded),
                remedy="mend the settings, or the configuration",
            )
        return label

    def identity(self, label: str) -> str:
        """Return library, name and label of a device, and its serial number where it has one."""
        return self.ask(f"{label}: identity", partial(self._identity, label))

    def is_simulated(self, label: str) -> bool:
        """Return whether a device exists only in the computer."""
        library = self.ask(f"{label}: library", partial(self.mm.getDeviceLibrary, label))
        return library in SIMULATED_LIBRARIES

    def close(self) -> None:
        """Unload every device; may be called twice. An adapter that hangs is left to its thread."""
        if self._closed:
            return
        self._closed = True
        try:
            self.ask("unloading", self.mm.unloadAllDevices)
        finally:
            self._owner.finish()
            self._urgent.finish()

    def _identity(self, label: str) -> str:
        mm = self.mm
        parts = [mm.getDeviceLibrary(label), mm.getDeviceName(label), label]
        for name in mm.getDevicePropertyNames(label):
            # Adapters write "SerialNumber", "Serial Number", "Serial No."; the standard "CameraID".
            if "".join(filter(str.isalpha, name)).lower().startswith(("serialn", "cameraid")):
                parts.append(mm.getProperty(label, name))
        return "-".join(part for part in parts if part)

    def _wait_for(self, owner: Owner, what: str, work: Callable[[], T], timeout_s: float) -> T:
        future = owner.submit(work)
        deadline_s, poll_s = self._clock.now_s() + timeout_s, FIRST_POLL_S
        while not future.done():
            if self._clock.now_s() > deadline_s:
                future.cancel()
                raise _late(what, timeout_s)
            self._clock.sleep(duration_s=poll_s)
            poll_s = min(2 * poll_s, LAST_POLL_S)
        try:
            return future.result()
        except (RuntimeError, OSError) as error:  # OSError: a configuration that does not load
            raise HardwareFailed(
                f"Micro-Manager, {what}: {' '.join(str(error).split())}",
                remedy="check the device's cable and power, then resume the run",
            ) from error


def open_core(config: Path, *, clock: Clock, adapters: Path | None = None) -> Core:
    """Return the core with a Micro-Manager .cfg loaded: every device initialised.

    `adapters` is the folder of device adapters; without it pymmcore-plus looks where Micro-Manager
    is usually installed. Raises HardwareFailed when the extra or the adapters are absent or a
    device does not come up, ConfigRefused when there is no such file.
    """
    if not config.is_file():
        raise ConfigRefused(
            f"Micro-Manager configuration {config} is absent",
            remedy="mend [micromanager] config; Micro-Manager's Hardware Configuration Wizard "
            "writes one",
        )
    core = Core(_empty_core(adapters), clock=clock)
    try:
        load = partial(core.mm.loadSystemConfiguration, str(config.resolve()))
        core.ask(f"loading {config.name}", load, timeout_s=LOAD_S)
        # Lights are ours: without this the core opens its shutter by itself at every exposure.
        core.ask("auto-shutter", partial(core.mm.setAutoShutter, False))
    except HardwareFailed:
        core.close()
        raise
    return core


def _empty_core(adapters: Path | None) -> CMMCore:
    try:
        from pymmcore import CMMCore
        from pymmcore_plus import find_micromanager
    except ImportError as error:
        raise HardwareFailed(
            "Micro-Manager devices need the extra 'micromanager'",
            value=f"no module {error.name}",
            remedy="pip install 'nightscope[micromanager]' (x86-64 only)",
        ) from None
    folder = str(adapters) if adapters is not None else find_micromanager()
    if folder is None or not Path(folder).is_dir():
        raise HardwareFailed(
            "Micro-Manager's device adapters are not found",
            value=folder,
            remedy="install Micro-Manager (`mmcore install`), or name its folder in "
            "[micromanager] adapters",
        )
    # Never CMMCorePlus: it has Python called back from a thread of the library's own, which now and
    # then outlives the core and then crashes the process. Nothing here listens to its signals.
    core = CMMCore()
    core.setDeviceAdapterSearchPaths([folder])
    core.enableFeature("StrictInitializationChecks", True)
    core.enableFeature("ParallelDeviceInitialization", True)
    return core


def _late(what: str, timeout_s: float) -> Stalled:
    return Stalled(
        f"Micro-Manager, {what}: no end in time",
        limit=f"{timeout_s:g} s",
        remedy="check the device's cable and power, then resume the run",
    )
