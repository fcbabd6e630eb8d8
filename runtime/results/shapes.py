"""Regions, tiles and frames as GeoJSON, in pixels of the map and in micrometres of the stage.

In pixels it is what QuPath imports over `map.ome.tif`: pixel units from the image's upper left
corner, so that the centre of the first pixel is at (0.5, 0.5); regions are its annotations, tiles
its tiles, frames of visits its detections. In micrometres places are the stage's, with the
overview's objective. Format: RFC 7946, with plane coordinates; the keys in `properties` are those
of QuPath's own export (https://qupath.readthedocs.io/en/stable/docs/advanced/exporting_annotations.html).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal
from uuid import NAMESPACE_OID, uuid5

import numpy as np

from runtime.record.ome_xml import date_of
from runtime.record.rows import StoredTile
from runtime.results.outlines import Polygon, region_outline, tile_outline, visit_outline
from runtime.results.palette import class_of, rgb_of
from runtime.results.run_results import RunResults
from runtime.results.stage_map import Points
from runtime.tile import Region

Frame = Literal["map pixels", "stage micrometres"]
PIXEL_DECIMALS, UM_DECIMALS = 2, 3
TO_CORNER_PX = 0.5
"""From coordinates that are 0 at the centre of the first pixel to those of its corner."""


def shapes(run: RunResults, frame: Frame) -> bytes:
    """Return all shapes of a run as one GeoJSON FeatureCollection, in either frame."""
    features = [
        *(_region(run, region, frame) for region in run.regions),
        *(_tile(run, tile, frame) for tile in run.overview),
        *_visits(run, frame),
    ]
    about = {
        "name": run.name,
        "coordinates": frame,
        "simulated": run.simulated,
        "stage_um_from_map_px": stage_about(run),
    }
    # Members of our own are left aside by readers (RFC 7946, 6.1).
    head = {"type": "FeatureCollection", "nightscope": about}
    lines = ",\n".join(json.dumps(feature) for feature in features)
    begun = json.dumps(head).removesuffix("}")
    return f'{begun}, "features": [\n{lines}\n]}}\n'.encode()


def stage_about(run: RunResults) -> dict[str, Any]:
    """Return how a pixel of the map, the centre of the first at (0, 0), becomes a stage place."""
    at = run.on_stage
    return {
        "formula": "stage (x, y) um = offset_um + matrix_um_per_px (x, y) px",
        "pixel_origin": "the centre of the first pixel is (0, 0)",
        "matrix_um_per_px": [list(row) for row in at.matrix],
        "offset_um": list(at.offset_um),
        "residual_um": round(at.residual_um, 4),
        "tiles": at.tiles,
    }


def _region(run: RunResults, region: Region, frame: Frame) -> dict[str, Any]:
    return _feature(
        run,
        region.region_id,
        _geometry(run, region_outline(run, region), frame),
        kind="annotation",
        shown=region.label,
        measurements={"score": region.score, "tiles": len(region.tile_ids)},
        metadata={
            "kind": "region",
            "visited": "yes" if region.region_id in run.visited else "no",
            "tile_ids": " ".join(region.tile_ids),
        },
    )


def _tile(run: RunResults, tile: StoredTile, frame: Frame) -> dict[str, Any]:
    label, place = run.labels.get(tile.tile_id), run.placements[tile.tile_id]
    scores = {} if label is None else {f"score {n}": v for n, v in sorted(label.scores.items())}
    state = run.states.get(tile.tile_id)
    return _feature(
        run,
        tile.tile_id,
        _geometry(run, [[tile_outline(run, tile)]], frame),
        kind="tile",
        shown=class_of(label) if run.classes else "",
        measurements={**_stood(tile), "sigma_px": place.sigma_px, **scores},
        metadata={
            "kind": "tile",
            "file": tile.file.file,
            "taken": date_of(tile.shot.taken),
            "state": "" if state is None else state.state,
            "placement": place.flag or "matched",
            "label": "" if label is None else label.name,
            "doubt": "" if label is None else label.doubt,
        },
    )


def _visits(run: RunResults, frame: Frame) -> Iterator[dict[str, Any]]:
    labels = {region.region_id: region.label for region in run.regions}
    for visit in run.visits:
        outline = visit_outline(run, visit)
        region_id = visit.shot.region_id or ""
        if outline is None:
            continue
        yield _feature(
            run,
            visit.tile_id,
            _geometry(run, [[outline]], frame),
            kind="detection",
            shown=labels.get(region_id, ""),
            measurements=_stood(visit),
            metadata={
                "kind": "visit",
                "file": visit.file.file,
                "taken": date_of(visit.shot.taken),
                "region": region_id,
                "objective": visit.shot.imaging.objective,
            },
        )


def _stood(tile: StoredTile) -> dict[str, float]:
    at = tile.shot.stage
    return {"stage_x_um": at.x_um, "stage_y_um": at.y_um, "stage_z_um": at.z_um}


def _feature(
    run: RunResults,
    name: str,
    geometry: dict[str, Any],
    *,
    kind: str,
    shown: str,
    measurements: Mapping[str, float],
    metadata: Mapping[str, str],
) -> dict[str, Any]:
    """Return a feature as QuPath has it; its id is a UUID that follows from run and name."""
    classed: dict[str, Any] = {}
    if shown:
        classed = {"classification": {"name": shown, "color": list(rgb_of(shown, run.classes))}}
    return {
        "type": "Feature",
        "id": str(uuid5(NAMESPACE_OID, f"nightscope {run.name} {name}")),
        "geometry": geometry,
        "properties": {
            "objectType": kind,
            "name": name,
            **classed,
            "isLocked": True,
            "measurements": {key: round(value, 4) for key, value in measurements.items()},
            "metadata": {key: value for key, value in metadata.items() if value},
        },
    }


def _geometry(run: RunResults, polygons: list[Polygon], frame: Frame) -> dict[str, Any]:
    drawn = [
        [_ring(run, ring, frame, hole=place > 0) for place, ring in enumerate(polygon)]
        for polygon in polygons
    ]
    if len(drawn) == 1:
        return {"type": "Polygon", "coordinates": drawn[0]}
    return {"type": "MultiPolygon", "coordinates": drawn}


def _ring(run: RunResults, ring: Points, frame: Frame, *, hole: bool) -> list[list[float]]:
    """Return a closed ring, anticlockwise but for a hole, as RFC 7946 has it."""
    in_px = frame == "map pixels"
    points = ring + TO_CORNER_PX if in_px else run.on_stage.stage_um(ring)
    x, y = points.T
    area = float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))
    ordered = points if (area > 0) != hole else points[::-1]
    closed = np.round(np.vstack([ordered, ordered[:1]]), PIXEL_DECIMALS if in_px else UM_DECIMALS)
    # Adding zero makes a plain 0 of a negative one.
    told: list[list[float]] = (closed + 0.0).tolist()
    return told
