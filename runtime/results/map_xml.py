"""The OME-XML of a finished map: as that of a tile, with tiles and regions as polygons.

Schema: http://www.openmicroscopy.org/Schemas/OME/2016-06.
"""

from __future__ import annotations

import json

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
from runtime.results.outlines import region_outline, tile_outline
from runtime.results.palette import Rgb, class_of, rgb_of
from runtime.results.run_results import RunResults, imaging_about
from runtime.results.shapes import TO_CORNER_PX
from runtime.results.stage_map import Points


def map_xml(run: RunResults, *, dtype: str, uuid: str = "") -> bytes:
    """Return the OME-XML of the map as one plane of `dtype`, with the place of its middle on the
    stage, and every tile and region as a polygon with its label.
    """
    how = run.overview[0].shot.imaging
    root = document(uuid=uuid)
    add_instrument(root, run.microscope, objective=how.objective, lights=[how.light])
    image = _add_image(root, run, dtype)
    shapes = _shapes(run)
    for place in range(len(shapes)):
        child(image, "ROIRef", ID=f"ROI:{place}")
    at = run.on_stage
    on_stage = stage_notes(run.microscope, how.objective, (at.matrix, at.offset_um))
    light = light_notes(how, [how.light], run.microscope)
    for note in add_notes(root, {STAGE_NOTES: on_stage, LIGHT_NOTES: light}):
        child(image, "AnnotationRef", ID=note)
    for place, shape in enumerate(shapes):
        _add_shape(root, place, *shape)
    return written(root)


def _add_image(root: Element, run: RunResults, dtype: str) -> Element:
    first = run.overview[0].shot
    how, by = first.imaging, run.microscope
    name = f"SIMULATED {run.name}" if run.simulated else run.name
    image = add_image(root, 0, name=name, taken=first.taken, about=json.dumps(imaging_about(run)))
    add_objective_settings(image, by, how.objective)
    ((x_um, y_um),) = run.on_stage.stage_um([run.middle_px])
    where = {"X": f"{x_um:.3f}", "Y": f"{y_um:.3f}", "XUnit": "µm", "YUnit": "µm"}
    child(image, "StageLabel", {"Name": "middle of the map", **where})
    pixels = _add_pixels(image, run, dtype)
    add_channel(pixels, "Channel:0:0", how.light, by=by, objective=how.objective, source=0)
    child(pixels, "TiffData", {"IFD": "0", "PlaneCount": "1"})
    plane = {"TheZ": "0", "TheC": "0", "TheT": "0"}
    plane |= {"ExposureTime": number(how.exposure_ms), "ExposureTimeUnit": "ms"}
    for axis in "XY":
        plane |= {f"Position{axis}": where[axis], f"Position{axis}Unit": "µm"}
    child(pixels, "Plane", plane)
    return image


def _add_shape(
    root: Element, place: int, name: str, outlines: list[Points], shown: str, colour: Rgb
) -> None:
    union = child(child(root, "ROI", ID=f"ROI:{place}", Name=name), "Union")
    for part, outline in enumerate(outlines):
        points = " ".join(f"{x:.2f},{y:.2f}" for x, y in outline + TO_CORNER_PX)
        drawn = {"ID": f"Shape:{place}:{part}", "StrokeColor": _rgba(colour)}
        child(union, "Polygon", {**drawn, "Text": shown, "Points": points})


def _add_pixels(image: Element, run: RunResults, dtype: str) -> Element:
    height, width = run.shape_px
    about = {"ID": "Pixels:0", "DimensionOrder": "XYZCT", "Type": dtype}
    about |= {"SizeX": str(width), "SizeY": str(height), "SizeZ": "1", "SizeC": "1", "SizeT": "1"}
    for axis in "XY":
        about |= {f"PhysicalSize{axis}": number(run.pixel_size_um)}
        about |= {f"PhysicalSize{axis}Unit": "µm"}
    return child(image, "Pixels", about)


def _shapes(run: RunResults) -> list[tuple[str, list[Points], str, Rgb]]:
    """Return name, outlines, label and colour of every tile and region."""
    drawn = []
    for tile in run.overview:
        shown = class_of(run.labels.get(tile.tile_id))
        colour = rgb_of(shown, run.classes)
        said = shown if run.classes else tile.tile_id
        drawn.append((tile.tile_id, [tile_outline(run, tile)], said, colour))
    for region in run.regions:
        parts = [polygon[0] for polygon in region_outline(run, region)]
        colour = rgb_of(region.label, run.classes)
        drawn.append((region.region_id, parts, region.label, colour))
    return drawn


def _rgba(colour: Rgb) -> str:
    """Return an opaque colour as the schema has it: one signed number of 32 bits."""
    red, green, blue = colour
    value = red << 24 | green << 16 | blue << 8 | 255
    return str(value - 2**32 if value >= 2**31 else value)
