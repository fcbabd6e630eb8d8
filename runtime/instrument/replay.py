"""A recorded scan as an instrument: a stage that stands where the files were taken, and its camera.

The stage's axes are the camera's, its origin is where the first tile was taken, and a pixel is as
large as the settings say: so the mosaic's pixels times the pixel size are the stage's micrometres.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from runtime.config.plan import PlannedTile
from runtime.errors import CameraFailed, ConfigRefused, InputRefused
from runtime.instrument.camera.files import says_simulated
from runtime.instrument.camera.recorded import RecordedScan
from runtime.instrument.errors import NotHomed, refuse_outside, refuse_unlit
from runtime.ports import CameraFrame, CameraInfo, Clock
from runtime.tile import StageLimits, StagePosition

# Nearer than this to where a tile was taken is there: positions are planned to whole nanometres.
THERE_PX = 0.5
# A recording has no height; a drive for it has to have some travel.
TRAVEL_Z_UM = 1000.0
# How far off its stated place a tile may well lie, one standard deviation, as a share of its side.
SIGMA_SHARE = 0.02


class Recording:
    """A scan, and where on the stage that plays it each tile was taken.

    `tiles` are in the scan's own order; rows and columns of a scan that names none are those its
    positions lie in. `stage_from_px` is the 2x2 matrix in µm per px, `sigma_um` how far off its
    place a tile may lie.
    """

    def __init__(self, scan: RecordedScan, *, pixel_size_um: float) -> None:
        self.scan, self.pixel_size_um = scan, pixel_size_um
        self.stage_from_px: NDArray[np.float64] = pixel_size_um * np.eye(2)
        self.sigma_um = SIGMA_SHARE * max(scan.shape_px) * pixel_size_um
        places_px = np.array([(tile.x_px, tile.y_px) for tile in scan.tiles])
        self._places_um = (places_px - places_px[0]) * pixel_size_um
        self.tiles = self._planned(places_px)
        self.simulated = says_simulated(scan.tiles[0].file)

    def at(self, *, x_um: float, y_um: float) -> tuple[int, float]:
        """Return which tile was taken nearest to a place, and how far from it, micrometres."""
        away_um = np.hypot(*(self._places_um - (x_um, y_um)).T)
        index = int(away_um.argmin())
        return index, float(away_um[index])

    def refuse_elsewhere(self, tiles: Sequence[PlannedTile]) -> None:
        """Raise ConfigRefused for the first tile planned where none was taken."""
        for tile in tiles:
            nearest, away_um = self.at(x_um=tile.x_um, y_um=tile.y_um)
            if away_um > THERE_PX * self.pixel_size_um:
                name = self.scan.tiles[nearest].file.name
                raise ConfigRefused(
                    f"plan's tile {tile.tile_id} lies where no file was taken",
                    value=f"x {tile.x_um:g} µm, y {tile.y_um:g} µm",
                    limit=f"the nearest is {name}, {away_um:g} µm off",
                    remedy="give 'tiles: recorded' in place of 'region' or 'grid'",
                )

    def limits(self, *, margin_um: float) -> StageLimits:
        """Return the travel that holds every tile's place, and `margin_um` around them."""
        (x0, y0), (x1, y1) = self._places_um.min(axis=0), self._places_um.max(axis=0)
        return StageLimits(
            x_um=(float(x0) - margin_um, float(x1) + margin_um),
            y_um=(float(y0) - margin_um, float(y1) + margin_um),
            z_um=(-TRAVEL_Z_UM, TRAVEL_Z_UM),
        )

    def _planned(self, places_px: NDArray[np.float64]) -> tuple[PlannedTile, ...]:
        height, width = self.scan.shape_px
        named = any(tile.row or tile.column for tile in self.scan.tiles)
        rows, columns = _lines(places_px[:, 1], height), _lines(places_px[:, 0], width)
        return tuple(
            PlannedTile(
                tile_id=tile.tile_id,
                index=index,
                row=tile.row if named else rows[index],
                column=tile.column if named else columns[index],
                x_um=float(self._places_um[index, 0]),
                y_um=float(self._places_um[index, 1]),
            )
            for index, tile in enumerate(self.scan.tiles)
        )


def _lines(along_px: NDArray[np.float64], side_px: int) -> list[int]:
    """Return in which line each coordinate lies; a step of half a tile's side begins a new one."""
    order = np.argsort(along_px, kind="stable")
    begins = np.diff(along_px[order], prepend=along_px[order[0]]) > side_px / 2
    lines = np.empty(len(order), int)
    lines[order] = np.cumsum(begins)
    return [int(line) for line in lines]


class ReplayStage:
    """A `Stage` that goes anywhere between and around the places of a recording, in no time."""

    failsafe = True

    def __init__(self, recording: Recording, *, margin_um: float) -> None:
        self.stage_id = f"recorded-{recording.scan.folder.name}"
        self.limits = recording.limits(margin_um=margin_um)
        self._at: StagePosition | None = None

    def home(self) -> None:
        """Go to where the first tile was taken."""
        self._at = StagePosition(x_um=0.0, y_um=0.0, z_um=0.0)

    def move_to(
        self, *, x_um: float | None = None, y_um: float | None = None, z_um: float | None = None
    ) -> StagePosition:
        """Move the named axes and return the position. Raises NotHomed and LimitHit."""
        here = self.position()
        named = {"x_um": x_um, "y_um": y_um, "z_um": z_um}
        wanted = {axis: um for axis, um in named.items() if um is not None}
        refuse_outside(self.limits, wanted)
        there = {"x_um": here.x_um, "y_um": here.y_um, "z_um": here.z_um} | wanted
        self._at = StagePosition(**there)
        return self._at

    def position(self) -> StagePosition:
        """Return where the stage stands. Raises NotHomed before the first `home`."""
        if self._at is None:
            raise NotHomed("the stage has no origin yet", remedy="home it first")
        return self._at

    def stop(self) -> None:
        """Do nothing: every move has ended when it returns."""


class ReplayCamera:
    """A `Camera` that gives the file taken where the stage stands."""

    def __init__(self, recording: Recording, stage: ReplayStage, *, clock: Clock) -> None:
        self._recording, self._stage, self._clock = recording, stage, clock
        self._open = True

    @property
    def info(self) -> CameraInfo:
        """Return what this camera is: the folder's name stands for the device, and a folder of a
        simulated microscope's tiles stays simulated.
        """
        scan, simulated = self._recording.scan, self._recording.simulated
        height, width = scan.shape_px
        return CameraInfo(
            camera_id=f"recorded-{scan.folder.name}" + "-SIMULATED" * simulated,
            width_px=width,
            height_px=height,
            full_scale=int(np.iinfo(scan.dtype).max),
            simulated=simulated,
        )

    def capture(self, *, exposure_ms: float) -> CameraFrame:
        """Return the tile taken here; `exposure_ms` has no effect, for the tile is exposed already.

        Raises CameraFailed when closed, where no tile was taken, and for a damaged file: the scan
        goes on without it.
        """
        if not self._open:
            raise CameraFailed("the recorded scan is closed", remedy="open it again")
        if not exposure_ms > 0:
            raise CameraFailed("exposure out of range", value=f"{exposure_ms} ms", limit="above 0")
        here, recording = self._stage.position(), self._recording
        index, away_um = recording.at(x_um=here.x_um, y_um=here.y_um)
        tile = recording.scan.tiles[index]
        if away_um > THERE_PX * recording.pixel_size_um:
            raise CameraFailed(
                "no file was taken where the stage stands",
                value=f"x {here.x_um:g} µm, y {here.y_um:g} µm",
                limit=f"the nearest is {tile.file.name}, {away_um:g} µm off",
                remedy="take the recording's own tiles: 'tiles: recorded' in the plan",
            )
        try:
            pixels = recording.scan.read(tile)
        except InputRefused as error:
            raise CameraFailed(str(error)) from error
        pixels.setflags(write=False)
        return CameraFrame(pixels=pixels, at=self._clock.instant())

    def close(self) -> None:
        """Give no more frames."""
        self._open = False


class ReplayLight:
    """A `Light` with the one channel that a recording was taken under; it remembers what is lit, no
    more.
    """

    def __init__(self, channel: str) -> None:
        self.channels = (channel,)
        self.lit: str | None = None

    def on(self, *, channel: str, brightness: float) -> None:
        """Note the channel as lit. Raises Rejected for another channel or a brightness out of
        range.
        """
        refuse_unlit(self.channels, channel=channel, brightness=brightness)
        self.lit = channel if brightness else None

    def off(self) -> None:
        """Note that nothing is lit."""
        self.lit = None
