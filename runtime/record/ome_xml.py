"""The parts of OME-XML that tiles and map have in common: by what, through what, in which light.

Schema: http://www.openmicroscopy.org/Schemas/OME/2016-06, which fixes names, units and the order of
children.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from xml.etree import ElementTree

from runtime.instant import Instant
from runtime.record.microscope import Matrix, Microscope, Optics
from runtime.tile import Imaging

NAMESPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
Element = ElementTree.Element
child = ElementTree.SubElement

BRIGHTFIELD = "brightfield"
NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no way to write: names come from plans, settings and devices."""
REPLACED = "\ufffd"

MEDIA = ((1.0, "Air"), (1.33, "Water"), (1.47, "Glycerol"), (1.515, "Oil"))
SAME_MEDIUM = 0.015
"""Refractive indices that differ by no more are those of one medium."""

STAGE_NOTES = "nightscope/stage"
LIGHT_NOTES = "nightscope/light"
FORMULA = "stage (x, y) um = (b0, b1) + [[m00, m01], [m10, m11]] (x, y) px"
"""Where the stage stands with what lies at a pixel in the middle of the overview's frame."""


def document(*, uuid: str = "") -> Element:
    """Return an empty OME document."""
    named = {"UUID": f"urn:uuid:{uuid}"} if uuid else {}
    return Element("OME", {"xmlns": NAMESPACE, "Creator": "nightscope", **named})


def written(root: Element) -> bytes:
    """Return the document as a file holds it; characters that XML cannot hold are replaced."""
    for element in root.iter():
        for key, value in element.attrib.items():
            element.set(key, NO_XML.sub(REPLACED, value))
        if element.text:
            element.text = NO_XML.sub(REPLACED, element.text)
    content: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return content


def number(value: float) -> str:
    """Return a number as it is written: short, and exact to far below what is measured."""
    return f"{value:.10g}"


def add_instrument(root: Element, by: Microscope, *, objective: str, lights: Iterable[str]) -> None:
    """Add the instrument with the objective and the lights that were used."""
    instrument = child(root, "Instrument", ID="Instrument:0")
    if by.name:
        child(instrument, "Microscope", Model=by.name)
    for place, light in enumerate(lights):
        kind = "LightEmittingDiode" if light in by.led_angles_deg else "GenericExcitationSource"
        child(instrument, kind, ID=f"LightSource:0:{place}", Model=light)
    if by.camera:
        child(instrument, "Detector", ID="Detector:0:0", Model=by.camera)
    optics = by.objectives.get(objective)
    nominal = {} if optics is None else _nominal(optics)
    child(instrument, "Objective", {"ID": "Objective:0:0", "Model": objective, **nominal})


def _nominal(optics: Optics) -> dict[str, str]:
    medium = _medium(optics)
    return {
        "NominalMagnification": number(optics.magnification),
        "LensNA": number(optics.na),
        **({"Immersion": medium} if medium else {}),
    }


def _medium(optics: Optics) -> str:
    """Return what lies between lens and specimen, "" where the settings leave it open."""
    index = optics.refractive_index
    if index is None:
        return ""
    near = [name for of, name in MEDIA if abs(index - of) <= SAME_MEDIUM]
    return near[0] if near else "Other"


def date_of(moment: Instant) -> str:
    """Return a moment as ISO 8601 has it, in UTC; "" where the clock stood beyond all calendars."""
    try:
        date = datetime.fromtimestamp(moment.wall_s, tz=UTC)
    except (ValueError, OverflowError, OSError):
        return ""
    return date.isoformat(timespec="milliseconds")


def add_image(root: Element, number_: int, *, name: str, taken: Instant, about: str) -> Element:
    """Add an image with what comes before its objective: name, date and description."""
    image = child(root, "Image", ID=f"Image:{number_}", Name=name)
    if date := date_of(taken):
        child(image, "AcquisitionDate").text = date
    child(image, "Description").text = about
    child(image, "InstrumentRef", ID="Instrument:0")
    return image


def add_objective_settings(image: Element, by: Microscope, objective: str) -> None:
    """Add which objective an image was seen through."""
    optics = by.objectives.get(objective)
    index = None if optics is None else optics.refractive_index
    told: dict[str, str] = {}
    if optics is not None and index is not None:
        told = {"Medium": _medium(optics), "RefractiveIndex": number(index)}
    child(image, "ObjectiveSettings", {"ID": "Objective:0:0", **told})


def add_channel(
    pixels: Element, id_: str, light: str, *, by: Microscope, objective: str, source: int
) -> None:
    """Add a channel: the light's name, how it falls, its wavelength where it is known."""
    how: dict[str, str] = {}
    if light in by.led_angles_deg:
        how = {"IlluminationType": "Oblique", "ContrastMethod": "ObliqueIllumination"}
    elif light == BRIGHTFIELD:
        how = {"IlluminationType": "Transmitted", "ContrastMethod": "Brightfield"}
    named = {"ID": id_, "Name": light, "SamplesPerPixel": "1", **how}
    channel = child(pixels, "Channel", {**named, "AcquisitionMode": "WideField"})
    optics = by.objectives.get(objective)
    wave: dict[str, str] = {}
    if optics is not None and optics.wavelength_um is not None:
        wave = {"Wavelength": number(optics.wavelength_um * 1e3), "WavelengthUnit": "nm"}
    child(channel, "LightSourceSettings", {"ID": f"LightSource:0:{source}", **wave})
    if by.camera:
        child(channel, "DetectorSettings", ID="Detector:0:0")


def stage_notes(
    by: Microscope, objective: str, on_stage: tuple[Matrix, tuple[float, float]] | None = None
) -> dict[str, str]:
    """Return which devices took an image and, where it is known, how its pixels lie on the stage:
    the 2x2 matrix and the offset of `FORMULA`.
    """
    told = {"microscope": by.name, "camera": by.camera, "stage": by.stage, "objective": objective}
    notes = {key: value for key, value in told.items() if value}
    if on_stage is None:
        return notes
    ((m00, m01), (m10, m11)), (b0, b1) = on_stage
    matrix = {"m00": m00, "m01": m01, "m10": m10, "m11": m11}
    notes |= {"formula": FORMULA}
    notes |= {f"{key} (um/px)": number(value) for key, value in matrix.items()}
    return notes | {"b0 (um)": number(b0), "b1 (um)": number(b1)}


def light_notes(how: Imaging, lights: Iterable[str], by: Microscope) -> dict[str, str]:
    """Return how bright the light was, and the angles of LEDs beside the axis."""
    angles = {
        f"angle of {light} (deg)": number(by.led_angles_deg[light])
        for light in lights
        if light in by.led_angles_deg
    }
    return {"brightness": number(how.brightness)} | angles


def add_notes(root: Element, notes: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Add annotations by namespace; return their ids, for `AnnotationRef` elements of images."""
    annotations = child(root, "StructuredAnnotations")
    ids = []
    for place, (namespace, told) in enumerate(notes.items()):
        ids.append(f"Annotation:{place}")
        note = child(annotations, "MapAnnotation", ID=ids[-1], Namespace=namespace)
        value = child(note, "Value")
        for key, text in told.items():
            child(value, "M", K=key).text = text
    return ids
