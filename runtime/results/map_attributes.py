"""What a finished map says of itself in OME-Zarr, all of it.

OME-Zarr 0.5 can scale and move an image, not turn it. So the map lies in the stage's micrometres
where that can be said: the middle of the map is at its own place, and all else from there along the
axes of the camera. How the camera lies to the stage, turned, mirrored or swapped, is in the key
`nightscope.stage`, with which every pixel is led to the stage.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import zarr

from runtime.results.label_images import write_labels
from runtime.results.run_results import RunResults, imaging_about
from runtime.results.shapes import stage_about
from runtime.stitch.map.export import opened


def complete_map(run: RunResults, mosaic: Path) -> None:
    """Write into the map in folder `mosaic` all that its run knows of it, and its label images.

    The same run gives the same bytes, however often it is done. Raises InputRefused when the folder
    holds no map.
    """
    attributes, _ = opened(mosaic)
    multiscale = _multiscale(run, attributes["ome"]["multiscales"][0])
    write_labels(run, mosaic, multiscale)
    about = attributes["nightscope"]
    kept = {key: about[key] for key in ("simulated", "origin_px", "pixel_size_um", "finished")}
    told: dict[str, Any] = {
        "ome": {
            "version": "0.5",
            "multiscales": [multiscale],
            "omero": _omero(run, attributes["ome"]["omero"]),
        },
        "nightscope": {
            **kept,
            "stage": stage_about(run),
            "microscope": run.microscope.fact(),
            "imaging": imaging_about(run),
        },
    }
    zarr.open_group(str(mosaic), mode="r+").attrs.put(told)


def _multiscale(run: RunResults, drawn: dict[str, Any]) -> dict[str, Any]:
    """Return the map's entry with its middle at its place on the stage."""
    size_um = run.pixel_size_um
    middle_px = run.middle_px
    ((x_um, y_um),) = run.on_stage.stage_um([middle_px])
    datasets = []
    for level, dataset in enumerate(drawn["datasets"]):
        # The first pixel of a coarse level is the mean of several; its centre lies between.
        centre = (2**level - 1) / 2
        moved = [
            round(float(um) + (centre - px) * size_um, 4)
            for um, px in ((y_um, middle_px[1]), (x_um, middle_px[0]))
        ]
        datasets.append(
            {
                "path": dataset["path"],
                "coordinateTransformations": [
                    {"type": "scale", "scale": [size_um * 2**level] * 2},
                    {"type": "translation", "translation": moved},
                ],
            }
        )
    return {
        "name": run.name,
        "axes": drawn["axes"],
        "type": "mean",
        "metadata": {"description": "each level holds the 2x2 means of the one before"},
        "datasets": datasets,
    }


def _omero(run: RunResults, drawn: dict[str, Any]) -> dict[str, Any]:
    (channel,) = drawn["channels"]
    light = run.overview[0].shot.imaging.light
    label = f"SIMULATED {light}" if run.simulated else light
    told = {"active": True, "color": "FFFFFF", "label": label, "window": channel["window"]}
    return {"channels": [told], "rdefs": {"model": "greyscale"}}
