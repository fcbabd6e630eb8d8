"""A night on the bench that ended with labels, a region and a frame of it, for those who read it.

The specimen holds a bright grain, the place of which is known: `GRAIN_UM`, on the stage.
"""

from dataclasses import replace

import numpy as np

from runtime.clock import SystemClock
from runtime.night.finish import finish
from runtime.record.microscope import Microscope
from runtime.record.rows import FocusRow
from runtime.record.run_folder import RunFolder
from runtime.tile import BLANK_DOUBT, FocusVerdict, Label, Region
from tests.night_fakes import OFFSET_UM, PIXEL_UM, Bench, Night, specimen
from tests.runtime.made import imaging, shot, stored

PLAN = """
name: labelled
objective: 10x
grid: {rows: 2, columns: 3, centre_um: [100, -40]}
overlap: 0.25
focus: {policy: fixed, start_z_um: 2, range_um: 60}
"""
GRAIN_UM = (127.25, -31.75)
SCORES = {"steel": 0.9, "rust": 0.1}
LABELS = {
    "r000_c000": Label(name="steel", score=0.9, scores=SCORES),
    "r000_c001": Label(name="steel", score=0.8, scores=SCORES),
    "r000_c002": Label(name="rust", score=0.7, scores=SCORES),
    "r001_c000": Label(name="rust", score=0.6, scores=SCORES, doubt="unlike all it was taught"),
    "r001_c001": Label(name="steel", score=0.9, scores=SCORES),
    "r001_c002": Label(name="rust", score=0.5, scores=SCORES, doubt=BLANK_DOUBT),
}
STEEL = ("r000_c000", "r000_c001", "r001_c001")


def labelled_night(path):
    """Return the night, finished."""
    world = specimen() * np.float32(0.6)
    middle = (world.shape[0] - 1) / 2
    x, y = (round(middle + um / 0.5) for um in GRAIN_UM)
    world[y - 1 : y + 2, x - 1 : x + 2] = 4000
    night = Night(path, Bench(world=world), plan=PLAN)
    assert night.go_on()["exit_code"] == 0
    with night.journal() as journal:
        for tile_id, label in LABELS.items():
            journal.set_label(tile_id, label)
        where = {tile.tile_id: tile.shot.stage for tile in journal.tiles()}
        region = Region(
            region_id="region01",
            label="steel",
            score=0.87,
            tile_ids=STEEL,
            x_um=where["r000_c001"].x_um,
            y_um=where["r000_c001"].y_um,
            box_px=(0.0, 0.0, 1.0, 1.0),
        )
        journal.set_regions([region])
        _visit(journal)
        finish(RunFolder(path), journal, SystemClock())
    return night


def _visit(journal):
    """Enter a frame through the 20x that looks at the grain, and what that was measured to be."""
    night = Microscope.read(journal.fact("microscope"))
    matrix = ((PIXEL_UM["20x"], 0.0), (0.0, PIXEL_UM["20x"]))
    seen = replace(night.objectives["20x"], stage_from_px=matrix, offset_um=OFFSET_UM["20x"])
    objectives = {**night.objectives, "20x": seen}
    journal.note(microscope=replace(night, objectives=objectives).fact())
    at = [a + o for a, o in zip((*GRAIN_UM, 2.0), OFFSET_UM["20x"], strict=True)]
    taken = shot(
        "region01_f0",
        at_um=tuple(at),
        phase="visit",
        region_id="region01",
        how=imaging("20x", 0.25),
    )
    focus = FocusRow(
        tile_id=taken.tile_id,
        source="sweep",
        verdict=FocusVerdict(status="ok", z_um=at[2], sigma_z_um=0.2),
    )
    tile = stored(taken, seq=journal.next_seq(), shape_px=(128, 160), folder="regions")
    journal.add_tile(tile, focus)
