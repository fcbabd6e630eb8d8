"""The simulated instrument behind the board: where everything truly is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from threading import Lock

import numpy as np

from firmware_bridge.plant import BoardDescription
from runtime.config.settings import Objective
from runtime.distortion import Distortion
from runtime.instrument.simulator import truth as witness
from runtime.instrument.simulator.board import BRIGHTFIELD, simulated_board
from runtime.instrument.simulator.faults import WorldFaults
from runtime.instrument.simulator.imperfections import Imperfections, draw
from runtime.instrument.simulator.mechanics import Triple, Unrest, play
from runtime.instrument.simulator.motion import Motion, Steps, homing, move, steps_um, turret_swing
from runtime.instrument.simulator.side_light import SIDES, SideLight
from runtime.instrument.simulator.specimen import Specimen
from runtime.instrument.simulator.truth import TrueExposure
from runtime.instrument.simulator.virtual_time import VirtualTime

READOUT_S = 0.015
FULL_LEVEL = 255
# Where the motors happen to stand when the power comes on, before homing.
PARKED_STEPS: Steps = (3_000, -2_000, 400)


class World:
    """Motors, lamp, turret and specimen of one simulated microscope; safe to share by threads.

    Serves the board's emulator as its plant (by shape) and the simulated camera. `time` is its own,
    which passes by what its motions and exposures last. Every exposure's true state is appended to
    `truth`, where one is named. Its camera bends every frame by `distortion`, if it has one: the
    middle of a frame stays where it was. With a `side_light` it has a channel for each side; with
    `unrest` the stage shakes, and comes to rest only some time after it was said to stand. Its
    `imperfections` are those of the seed, unless others are given; `faults` go wrong on the way.
    """

    def __init__(
        self,
        *,
        seed: int,
        speed: float,
        objectives: Mapping[str, Objective],
        camera_width_px: int,
        camera_height_px: int,
        specimen: Specimen,
        truth: Path | None = None,
        distortion: Distortion | None = None,
        side_light: SideLight | None = None,
        unrest: Unrest | None = None,
        imperfections: Imperfections | None = None,
        faults: WorldFaults | None = None,
    ) -> None:
        self.seed, self.time = seed, VirtualTime(seed=seed, speed=speed)
        self.objectives = dict(objectives)
        self.camera_width_px, self.camera_height_px = camera_width_px, camera_height_px
        self.specimen, self.distortion, self.side_light = specimen, distortion, side_light
        self.channels = (BRIGHTFIELD,) if side_light is None else (BRIGHTFIELD, *SIDES)
        self._channel = BRIGHTFIELD
        self._truth, self._unrest = truth, unrest or Unrest()
        self.faults = faults or WorldFaults()
        self._hidden = imperfections or draw(seed=seed, objectives=objectives)
        self._lock = Lock()
        self._motor: Steps = PARKED_STEPS
        self._carriage_um: Triple = steps_um(PARKED_STEPS)
        self._objective = next(iter(self.objectives))
        self._motion: Motion | None = None
        self._level = 0
        self._frames_since_move = 0
        # When it last came to stand, and the signs of the way it came.
        self._stood_s, self._came = 0.0, (0.0, 0.0, 0.0)

    @property
    def board(self) -> BoardDescription:
        """Return what the board reports on HELLO."""
        return simulated_board(
            seed=self.seed, objectives=tuple(self.objectives), channels=self.channels
        )

    def begin_move(self, *, target_steps: Steps) -> float:
        """Start towards absolute motor steps; return how long the host must wait."""
        with self._lock:
            return self._begin(move(self._motor, target_steps, objective=self._objective))

    def begin_home(self) -> float:
        """Start homing; return how long the host must wait. It ends with every axis at step 0."""
        with self._lock:
            return self._begin(homing(self._motor, objective=self._objective))

    def begin_turret(self, *, index: int) -> float:
        """Start swinging an objective in; return how long the host must wait."""
        with self._lock:
            wanted = tuple(self.objectives)[index]
            return self._begin(turret_swing(self._motor, current=self._objective, wanted=wanted))

    def finish_move(self) -> None:
        """End the motion begun last, be it a move, a homing or a turret change."""
        with self._lock:
            motion = self._motion
            if motion is None:
                return
            for leg in motion.legs:
                self._reach(leg)
            standing = motion.objective == self._objective and set(motion.legs) <= {motion.start}
            self._objective = motion.objective
            self._stand(motion.duration_s, moved=not standing)

    def halt(self, *, fraction: float) -> Steps:
        """Stop the motion under way after this fraction of its time; return the steps reached."""
        with self._lock:
            motion = self._motion
            if motion is not None:
                elapsed_s = fraction * motion.duration_s
                self._reach(motion.reached(time_s=elapsed_s))
                self._stand(elapsed_s)
            return self._motor

    def set_light(self, *, channel: int, level: int) -> None:
        """Light one channel at 0 (off) to 255; all other channels go off.

        Channels that the world does not have shine elsewhere.
        """
        with self._lock:
            ours = 0 <= channel < len(self.channels)
            self._level = level if ours else 0
            self._channel = self.channels[channel if ours else 0]

    def power_off(self) -> None:
        """Everything dark; the motors stay where they stand."""
        with self._lock:
            self._level = 0

    def expose(self, *, exposure_ms: float) -> TrueExposure:
        """Return the true state during an exposure that starts now, and let its time pass.

        It is appended to `truth` before it is returned. A stage that still moves counts as half way
        along its motion, and the frame is smeared by its mean speed.
        """
        with self._lock:
            exposure = self._observe(exposure_ms)
            self.time.elapse(duration_s=_lasts_s(exposure_ms))
            self._frames_since_move += 1
            if self._truth is not None:
                witness.append(self._truth, exposure)
            return exposure

    def _begin(self, motion: Motion) -> float:
        self._motion = motion
        return self.time.wait_s(motion.duration_s)

    def _reach(self, steps: Steps) -> None:
        """Turn the motors straight to `steps`; the carriages follow through their play."""
        x, y, z = (
            play(motor_um=motor, carriage_um=carriage, slack_um=slack)
            for motor, carriage, slack in zip(
                steps_um(steps), self._carriage_um, self._hidden.slack_um, strict=True
            )
        )
        came = [float(np.sign(to - at)) for at, to in zip(self._motor, steps, strict=True)]
        self._came = (came[0], came[1], came[2])
        self._motor, self._carriage_um = steps, (x, y, z)

    def _stand(self, elapsed_s: float, *, moved: bool = True) -> None:
        """End a motion. One to where the stage stood already is none: the next frame has the noise
        of a further one, not that of the one before.
        """
        self._motion = None
        self.time.elapse(duration_s=elapsed_s)
        if moved:
            self._stood_s = self.time.now_s()
            self._frames_since_move = 0

    def _observe(self, exposure_ms: float) -> TrueExposure:
        hidden, seat = self._hidden, self._hidden.seats[self._objective]
        shutter_s, now_s = exposure_ms / 1000, self.time.now_s()
        middle_s, (channel, light_level) = now_s + shutter_s / 2, self._shining()
        x, y, z = self.faults.misplaced(self._position_um(middle_s), time_s=middle_s)
        centre_x = hidden.handedness[0] * x + seat.offset_x_um
        centre_y = hidden.handedness[1] * y + seat.offset_y_um
        best_z_um = hidden.focus_plane.at(x_um=centre_x, y_um=centre_y) + seat.parfocal_um
        return TrueExposure(
            time_s=now_s + _lasts_s(exposure_ms),
            exposure_ms=exposure_ms,
            objective=self._objective,
            light_level=light_level,
            centre_um=(centre_x, centre_y),
            defocus_um=z - best_z_um,
            rotation_rad=hidden.rotation_rad,
            pixel_size_um=seat.pixel_size_um,
            position_nm=(round(x * 1000), round(y * 1000), round(z * 1000)),
            frame_index=self._frames_since_move,
            smear_um=self._smear_um(now_s, shutter_s),
            channel=channel,
        )

    def _shining(self) -> tuple[str, float]:
        """Return which channel shines, and how bright; by a fault the next one, or none of ours."""
        level = self._level / FULL_LEVEL * self.faults.lamp()
        if self.faults.now("lamp-elsewhere") is None:
            return self._channel, level
        after = (self.channels.index(self._channel) + 1) % len(self.channels)
        return self.channels[after], level if len(self.channels) > 1 else 0.0

    def _smear_um(self, now_s: float, shutter_s: float) -> float:
        if self._motion is not None:
            return self._motion.mean_speed_um_per_s * shutter_s
        return self._unrest.smear_um(shutter_s=shutter_s, since_move_s=now_s - self._stood_s)

    def _position_um(self, time_s: float) -> Triple:
        """Return where the stage truly stands: carriage, periodic error of the screws, drift, and
        what shakes it.
        """
        motor, carriage = self._motor, self._carriage_um
        if self._motion is not None:
            motor = self._motion.reached(time_s=self._motion.duration_s / 2)
            carriage = steps_um(motor)
        turned = steps_um(motor)
        shaken = self._unrest.away(
            time_s=time_s, since_move_s=time_s - self._stood_s, came=self._came
        )
        x, y, z = (
            there + drift.at(time_s) + away
            for there, drift, away in zip(carriage, self._hidden.drift, shaken, strict=True)
        )
        screw_x, screw_y = self._hidden.periodic
        return x + screw_x.at(turned[0]), y + screw_y.at(turned[1]), z


def _lasts_s(exposure_ms: float) -> float:
    return exposure_ms / 1000 + READOUT_S
