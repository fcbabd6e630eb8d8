"""What a viewer shows is driven to: map pixel, the map's own words, stage, and there it lies.

The demo's camera is mirrored and turned against its stage, and the stage has its own scale, slack
and periodic error. The answer is the simulator's truth: which specimen point a map pixel shows, and
which lies in the middle of the frame where the stage was sent.
"""

import json

import numpy as np
import pytest
import tifffile

from runtime.instrument.opening import open_microscope
from runtime.instrument.simulator.score import ScoredTile, exposures_of
from runtime.instrument.simulator.truth import read_truth, specimen_from_px
from runtime.record.journal import Journal
from runtime.record.run_folder import RunFolder

pytestmark = pytest.mark.slow  # it needs a whole night

PIXELS = ((420, 390), (1578, 1383), (2700, 420), (500, 2300), (2650, 2310))
WITHIN_UM = 2.0
"""A standard deviation of the simulated stage; the calibrated matrix alone errs by as much."""


@pytest.fixture(scope="module")
def told(demo):
    """Return what the map says of the stage, OME-Zarr and OME-TIFF alike: matrix and offset."""
    _, _, folder = demo
    attributes = json.loads((folder / "map.ome.zarr" / "zarr.json").read_text())["attributes"]
    stage = attributes["nightscope"]["stage"]
    with tifffile.TiffFile(folder / "map.ome.tif") as file:
        xml = tifffile.xml2dict(file.ome_metadata)["OME"]["StructuredAnnotations"]["MapAnnotation"]
    notes = {m["K"]: m["value"] for m in xml[0]["Value"]["M"]}
    matrix = np.array(stage["matrix_um_per_px"])
    in_tiff = [[notes[f"m{r}{c} (um/px)"] for c in (0, 1)] for r in (0, 1)]
    assert np.array(in_tiff) == pytest.approx(matrix)
    assert [notes["b0 (um)"], notes["b1 (um)"]] == pytest.approx(stage["offset_um"])
    return matrix, np.array(stage["offset_um"])


def shown_um(folder, pixels):
    """Return the specimen point that each map pixel shows, by the tile whose centre is nearest."""
    origin = json.loads((folder / "map.ome.zarr" / "zarr.json").read_text())["attributes"]
    journal = Journal(folder / "journal.sqlite")
    tiles, placed = journal.tiles("overview"), journal.placements()
    journal.close()
    seen = exposures_of([scored(tile) for tile in tiles], read_truth(folder / "truth.jsonl"))
    centre = np.array([(tiles[0].file.width_px - 1) / 2, (tiles[0].file.height_px - 1) / 2])
    found = []
    for pixel in np.array(pixels, float) + origin["nightscope"]["origin_px"]:
        tile_id = min(placed, key=lambda name: np.hypot(*(pixel - centre - at_px(placed[name]))))
        place, true = placed[tile_id], seen[tile_id]
        cos, sin = np.cos(place.theta_rad), np.sin(place.theta_rad)
        in_tile = np.array([[cos, sin], [-sin, cos]]) @ (pixel - at_px(place))
        matrix = specimen_from_px(rotation_rad=true.rotation_rad, pixel_size_um=true.pixel_size_um)
        found.append(true.centre_um + matrix @ (in_tile - centre))
    return np.array(found)


def scored(tile):
    return ScoredTile(
        tile_id=tile.tile_id,
        time_s=tile.shot.taken.monotonic_s,
        width_px=tile.file.width_px,
        height_px=tile.file.height_px,
    )


def at_px(place):
    return np.array([place.x_px, place.y_px])


def test_a_pixel_of_the_map_is_driven_to(demo, told, tmp_path):
    _, _, folder = demo
    matrix, offset_um = told
    run = RunFolder(folder)
    journal = Journal(run.journal)
    plan, settings = run.configuration(journal)
    last = journal.last_tile().shot
    journal.close()
    with open_microscope(settings, truth=tmp_path / "truth.jsonl") as rig:
        rig.stage.home()
        rig.resume_at(last.taken)
        rig.turret.select(objective=plan.objective)
        for pixel in PIXELS:
            x_um, y_um = matrix @ pixel + offset_um
            rig.approach(x_um=x_um, y_um=y_um)
            rig.expose(channel=plan.light, brightness=0.5, exposure_ms=plan.exposure_ms)
    reached = np.array([one.centre_um for one in read_truth(tmp_path / "truth.jsonl")])
    errors_um = np.hypot(*(reached - shown_um(folder, PIXELS)).T)
    assert errors_um.max() < WITHIN_UM


def test_frames_of_visits_are_drawn_where_they_looked(demo):
    _, _, folder = demo
    journal = Journal(folder / "journal.sqlite")
    visits = journal.tiles("visit")
    journal.close()
    drawn = {
        one["properties"]["name"]: np.mean(one["geometry"]["coordinates"][0][:4], axis=0) - 0.5
        for one in json.loads((folder / "map.geojson").read_text())["features"]
    }
    true = exposures_of([scored(visit) for visit in visits], read_truth(folder / "truth.jsonl"))
    looked_um = np.array([true[visit.tile_id].centre_um for visit in visits])
    there_um = shown_um(folder, [drawn[visit.tile_id] for visit in visits])
    assert np.hypot(*(looked_um - there_um).T).max() < WITHIN_UM
