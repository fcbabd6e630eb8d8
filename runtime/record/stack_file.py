"""Tiles of several frames: one OME-TIFF each, lights and heights in their order.

The first page of the file is the frame that is classified and stitched, so that whoever reads but
one page reads that one; the OME-XML in it says which light (C) and height (Z) every page is.
Specification: https://docs.openmicroscopy.org/ome-model/6.3.1/ome-tiff/specification.html.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree

import tifffile

from runtime.record.storage import write_durably
from runtime.tile import Pixels, Shot, StackFrame

NAMESPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
Channel = tuple[str, float]


def write_stack(path: Path, shot: Shot, frames: Sequence[StackFrame], main: Pixels) -> str:
    """Write all frames of a tile into one OME-TIFF, that of the pixels `main` as its first page.

    Lights and heights are numbered in the order taken. Lights that are taken at the same heights
    make one OME image, others one of their own. Returns the file's SHA-256.
    """
    pages = sorted(frames, key=lambda frame: frame.pixels is not main)
    per_cm = 1e4 / shot.imaging.pixel_size_um
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as out:
        for number, page in enumerate(pages):
            out.write(
                page.pixels,
                description=_xml(shot, frames, pages) if number == 0 else None,
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


def _xml(shot: Shot, frames: Sequence[StackFrame], pages: Sequence[StackFrame]) -> bytes:
    about = asdict(shot) | ({"origin": "SIMULATED"} if shot.simulated else {})
    root = ElementTree.Element("OME", {"xmlns": NAMESPACE, "Creator": "nightscope"})
    channels = list(dict.fromkeys(map(_channel, frames)))
    heights = {
        channel: tuple(frame.above_um for frame in frames if _channel(frame) == channel)
        for channel in channels
    }
    for number, (_, alike) in enumerate(groupby(channels, key=heights.__getitem__)):
        image = ElementTree.SubElement(root, "Image", ID=f"Image:{number}", Name=shot.tile_id)
        ElementTree.SubElement(image, "Description").text = json.dumps(about)
        _pixels(image, number, shot, pages, channels=list(alike), heights=heights)
    content: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return content


def _channel(frame: StackFrame) -> Channel:
    return frame.light, frame.exposure_ms


def _pixels(
    image: ElementTree.Element,
    number: int,
    shot: Shot,
    pages: Sequence[StackFrame],
    *,
    channels: list[Channel],
    heights: dict[Channel, tuple[float, ...]],
) -> None:
    """Add what one OME image holds: its size, its lights, and where each of its planes lies."""
    height_px, width_px = pages[0].pixels.shape
    size_um = f"{shot.imaging.pixel_size_um:.6g}"
    sizes = {"SizeX": width_px, "SizeY": height_px, "SizeZ": len(heights[channels[0]])}
    sizes |= {"SizeC": len(channels), "SizeT": 1}
    pixels = ElementTree.SubElement(
        image,
        "Pixels",
        {
            "ID": f"Pixels:{number}",
            "DimensionOrder": "XYZCT",
            "Type": str(pages[0].pixels.dtype),
            "PhysicalSizeX": size_um,
            "PhysicalSizeY": size_um,
            **{key: str(value) for key, value in sizes.items()},
        },
    )
    for c, (light, _) in enumerate(channels):
        about = {"ID": f"Channel:{number}:{c}", "Name": light, "SamplesPerPixel": "1"}
        ElementTree.SubElement(pixels, "Channel", about)
    planes = {
        page: (heights[_channel(frame)].index(frame.above_um), channels.index(_channel(frame)))
        for page, frame in enumerate(pages)
        if _channel(frame) in channels
    }
    for page, (z, c) in planes.items():
        first = {"FirstZ": str(z), "FirstC": str(c), "FirstT": "0"}
        ElementTree.SubElement(pixels, "TiffData", {"IFD": str(page), "PlaneCount": "1", **first})
    for page, (z, c) in sorted(planes.items(), key=lambda plane: plane[1][::-1]):
        frame = pages[page]
        place = {"TheZ": str(z), "TheC": str(c), "TheT": "0"}
        place |= {"ExposureTime": f"{frame.exposure_ms:.6g}", "ExposureTimeUnit": "ms"}
        for axis, um in zip("XYZ", (shot.stage.x_um, shot.stage.y_um, frame.z_um), strict=True):
            place |= {f"Position{axis}": f"{um:.3f}", f"Position{axis}Unit": "µm"}
        ElementTree.SubElement(pixels, "Plane", place)
