"""A whole night with the reference firmware in the loop: its stage carries the specimen, its lamp
lights it, and the simulated camera sees what they have made of it.
"""

from pathlib import Path
from typing import Any

import pytest

from runtime.instrument.simulator.score import ScoredTile, score
from runtime.instrument.simulator.truth import read_truth
from runtime.record.journal import Journal
from tests.simulated import looped, looped_plan, spend_night

# Half a minute of the simulated MCU's time, and two minutes of a processor's; hence the long limit
# for a machine with other work.
pytestmark = [
    pytest.mark.firmware,
    pytest.mark.xdist_group("firmware"),
    pytest.mark.timeout(1800),
]

# The firmware's origin lies at the negative end of every axis, and its stage makes 2 mm/s: the
# specimen lies near enough for short moves, and far enough to be approached from below.
SPECIMEN_UM = (600, 400, 60)
STEPS_UM = (0.25, 0.25, 0.05)
# Centre and inner ring, as simavr's LED array shows them.
BRIGHTFIELD, DARK = "0001ff", "000000"


def test_a_night_on_the_firmware_ends_in_a_map(simulate: Any, tmp_path: Path) -> None:
    simulated = simulate("atmega2560")
    settings = looped(simulated.port, specimen_um=SPECIMEN_UM, size_px=(448, 512))
    plan = looped_plan(rows=2, columns=3, specimen_um=SPECIMEN_UM, model="mussel-tissue")
    folder, summary = spend_night(tmp_path / "run", plan=plan, settings=settings)
    assert (summary["state"], summary["simulated"]) == ("finished", True)
    assert (summary["tiles_done"], summary["tiles_skipped"]) == (6, 0)
    journal = Journal(folder.journal)
    tiles, placed, labels = journal.tiles(), journal.placements(), journal.labels()
    journal.close()
    figures = score(
        truth=read_truth(folder.truth),
        tiles=[
            ScoredTile(
                tile_id=tile.tile_id,
                time_s=tile.shot.taken.monotonic_s,
                width_px=tile.file.width_px,
                height_px=tile.file.height_px,
            )
            for tile in tiles
        ],
        placements=placed,
        labels=labels,
        ground=None,
    )
    assert {placement.flag for placement in placed.values()} == {""}
    assert figures["position_error_px"]["max"] < 1.0
    assert figures["focus_error_um"]["max"] < 3.0
    assert set(labels) == {tile.tile_id for tile in tiles}
    # What the journal says of the last tile is where the carriages truly stand.
    last = tiles[-1].shot.stage
    told_um = (last.x_um, last.y_um, last.z_um)
    stand_um = [n * s for n, s in zip(simulated.carriages(), STEPS_UM, strict=True)]
    assert stand_um == pytest.approx(told_um, abs=0.01)
    shown = [event.values[0] for event in simulated.events if event.what == "light"]
    assert set(shown) == {BRIGHTFIELD, DARK}
    assert shown[-1] == DARK
    assert shown.count(BRIGHTFIELD) >= len(tiles)
