"""Tile files: one OME-TIFF each, of one frame or of several, lights and heights in their order.

The first page of the file is the frame that is classified and stitched, so that whoever reads but
one page reads that one; the OME-XML in it says which light (C) and height (Z) every page is, and
with what it was taken.
Specification: https://docs.openmicroscopy.org/ome-model/6.3.1/ome-tiff/specification.html.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import tifffile

from runtime.record.microscope import UNKNOWN, Microscope
from runtime.record.ome_xml import (
    LIGHT_NOTES,
    STAGE_NOTES,
    Element,
    add_channel,
    add_image,
    add_instrument,
    add_notes,
    add_objective_settings,
    child,
    document,
    light_notes,
    number,
    stage_notes,
    written,
)
from runtime.record.storage import write_durably
from runtime.tile import Pixels, Shot, StackFrame

Channel = tuple[str, float]


def write_tile(
    path: Path,
    shot: Shot,
    pixels: Pixels,
    frames: Sequence[StackFrame] = (),
    *,
    by: Microscope = UNKNOWN,
) -> str:
    """Write a tile as OME-TIFF: its one frame of (y, x) `pixels`, or all `frames` of one of
    several, that of the `pixels` as its first page.

    Lights and heights are numbered in the order taken. Lights that are taken at the same heights
    make one OME image, others one of their own. `by` is what it was taken with. Returns the file's
    SHA-256. Raises DiskFull when there is no room, StorageFailed when the disk fails.
    """
    if not frames:
        how, z_um = shot.imaging, shot.stage.z_um
        frames = [
            StackFrame(
                light=how.light, exposure_ms=how.exposure_ms, above_um=0.0, z_um=z_um, pixels=pixels
            )
        ]
    pages = sorted(frames, key=lambda frame: frame.pixels is not pixels)
    about = _Description(shot, by, frames, pages).xml()
    per_cm = 1e4 / shot.imaging.pixel_size_um
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as out:
        for place, page in enumerate(pages):
            out.write(
                page.pixels,
                description=about if place == 0 else None,
                metadata=None,
                contiguous=False,
                photometric="minisblack",
                resolution=(per_cm, per_cm),
                resolutionunit="CENTIMETER",
                software="nightscope",
            )
    content = buffer.getvalue()
    write_durably(path, content)
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True, slots=True)
class _Description:
    """The OME-XML of one tile: what is on its pages, in the order taken and in that of the file."""

    shot: Shot
    by: Microscope
    frames: Sequence[StackFrame]
    pages: Sequence[StackFrame]

    def xml(self) -> bytes:
        """Return all of it."""
        shot, by = self.shot, self.by
        lights = list(dict.fromkeys(frame.light for frame in self.frames))
        root = document()
        add_instrument(root, by, objective=shot.imaging.objective, lights=lights)
        channels = dict.fromkeys(map(_channel, self.frames))
        images = [
            self._add_image(root, place, list(alike), lights)
            for place, (_, alike) in enumerate(groupby(channels, key=self._heights))
        ]
        notes = {STAGE_NOTES: self._on_stage(), LIGHT_NOTES: light_notes(shot.imaging, lights, by)}
        for note in add_notes(root, notes):
            for image in images:
                child(image, "AnnotationRef", ID=note)
        return written(root)

    def _heights(self, channel: Channel) -> tuple[float, ...]:
        return tuple(frame.above_um for frame in self.frames if _channel(frame) == channel)

    def _add_image(
        self, root: Element, place: int, channels: list[Channel], lights: list[str]
    ) -> Element:
        """Add an image of the lights that were taken at the same heights."""
        shot, at = self.shot, self.shot.stage
        about = asdict(shot) | ({"origin": "SIMULATED"} if shot.simulated else {})
        image = add_image(root, place, name=shot.tile_id, taken=shot.taken, about=json.dumps(about))
        add_objective_settings(image, self.by, shot.imaging.objective)
        where = {"X": number(at.x_um), "Y": number(at.y_um), "Z": number(at.z_um)}
        units = {f"{axis}Unit": "µm" for axis in where}
        child(image, "StageLabel", {"Name": shot.tile_id, **where, **units})
        pixels = self._add_pixels(image, place, channels)
        for c, (light, _) in enumerate(channels):
            add_channel(
                pixels,
                f"Channel:{place}:{c}",
                light,
                by=self.by,
                objective=shot.imaging.objective,
                source=lights.index(light),
            )
        self._add_planes(pixels, channels)
        return image

    def _add_pixels(self, image: Element, place: int, channels: list[Channel]) -> Element:
        height_px, width_px = self.pages[0].pixels.shape
        sizes = {"SizeX": width_px, "SizeY": height_px, "SizeZ": len(self._heights(channels[0]))}
        sizes |= {"SizeC": len(channels), "SizeT": 1}
        size_um = number(self.shot.imaging.pixel_size_um)
        about = {
            "ID": f"Pixels:{place}",
            "DimensionOrder": "XYZCT",
            "Type": str(self.pages[0].pixels.dtype),
            **{key: str(value) for key, value in sizes.items()},
        }
        for axis in "XY":
            about |= {f"PhysicalSize{axis}": size_um, f"PhysicalSize{axis}Unit": "µm"}
        return child(image, "Pixels", about)

    def _add_planes(self, pixels: Element, channels: list[Channel]) -> None:
        """Add which page holds which plane, and where each was taken, for how long."""
        planes = {
            page: (self._heights(_channel(frame)).index(frame.above_um), channels.index(of))
            for page, frame in enumerate(self.pages)
            if (of := _channel(frame)) in channels
        }
        for page, (z, c) in planes.items():
            first = {"FirstZ": str(z), "FirstC": str(c), "FirstT": "0"}
            child(pixels, "TiffData", {"IFD": str(page), "PlaneCount": "1", **first})
        at = self.shot.stage
        for page, (z, c) in sorted(planes.items(), key=lambda plane: plane[1][::-1]):
            frame = self.pages[page]
            place = {"TheZ": str(z), "TheC": str(c), "TheT": "0"}
            place |= {"ExposureTime": number(frame.exposure_ms), "ExposureTimeUnit": "ms"}
            for axis, um in zip("XYZ", (at.x_um, at.y_um, frame.z_um), strict=True):
                place |= {f"Position{axis}": f"{um:.3f}", f"Position{axis}Unit": "µm"}
            child(pixels, "Plane", place)

    def _on_stage(self) -> dict[str, str]:
        """Return how the pixels of a tile lie on the stage, for the overview's objective."""
        shot, by = self.shot, self.by
        optics = by.objectives.get(shot.imaging.objective)
        if optics is None or optics.stage_from_px is None or optics.offset_um is None:
            return stage_notes(by, shot.imaging.objective)
        height, width = self.pages[0].pixels.shape
        moved = np.array(optics.stage_from_px) @ ((width - 1) / 2, (height - 1) / 2)
        b0 = shot.stage.x_um - optics.offset_um[0] - float(moved[0])
        b1 = shot.stage.y_um - optics.offset_um[1] - float(moved[1])
        return stage_notes(by, shot.imaging.objective, (optics.stage_from_px, (b0, b1)))


def _channel(frame: StackFrame) -> Channel:
    return frame.light, frame.exposure_ms
