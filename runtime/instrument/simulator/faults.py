"""What is wrong with a simulated microscope now: faults that begin with a frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from runtime.config.simulated_faults import FaultKind, FaultSection
from runtime.instrument.simulator.mechanics import Triple

AXES = "xyz"


@dataclass(slots=True)
class WorldFaults:
    """The faults of one session, which counts its `frames`. `acts` says what a board's fault does,
    done once; the last true place of the stage is kept, for a motor that stands still there.
    """

    planned: Sequence[FaultSection] = ()
    acts: dict[FaultKind, Callable[[], None]] = field(
        default_factory=dict[FaultKind, Callable[[], None]]
    )
    frames: int = 0
    _stood_um: Triple | None = None
    _stuck_um: Triple | None = None
    _began_s: float | None = None

    def next_frame(self) -> None:
        """Count a frame that is about to be taken, and let happen what begins with it."""
        self.frames += 1
        for fault in self.planned:
            if self.frames == fault.after_frames + 1 and fault.kind in self.acts:
                self.acts[fault.kind]()

    def now(self, kind: FaultKind) -> FaultSection | None:
        """Return the fault of a kind that is there now, if any."""
        return next((f for f in self.planned if f.kind == kind and self._is_there(f)), None)

    def lamp(self) -> float:
        """Return what share of its light the lamp gives."""
        if self.now("lamp-dead"):
            return 0.0
        share = 1.0
        if dims := self.now("lamp-dims"):
            share *= 1 - dims.lost_share
        if fades := self.now("lamp-fades"):
            share *= (1 - fades.lost_share) ** (self.frames - fades.after_frames)
        return share

    def misplaced(self, true_um: Triple, *, time_s: float) -> Triple:
        """Return where the stage stands that a sound one would have at `true_um`."""
        x, y, z = true_um
        if slips := self.now("slips"):
            x, y = x + slips.slip_um[0], y + slips.slip_um[1]
        if sinks := self.now("sinks"):
            if self._began_s is None:
                self._began_s = time_s
            z -= sinks.sink_um_per_h * (time_s - self._began_s) / 3600
        if stuck := self.now("stuck"):
            if self._stuck_um is None:
                self._stuck_um = self._stood_um or true_um
            x, y, z = (
                there if axis in stuck.axes else here
                for axis, there, here in zip(AXES, self._stuck_um, (x, y, z), strict=True)
            )
        self._stood_um = (x, y, z)
        return x, y, z

    def _is_there(self, fault: FaultSection) -> bool:
        return 0 < self.frames - fault.after_frames <= fault.for_frames
