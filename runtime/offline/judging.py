"""A stitched map judged by its own pictures, and the page about it: loaded only when asked for."""

from __future__ import annotations

from pathlib import Path

from runtime.instrument.camera.recorded import RecordedScan
from runtime.offline.inventory import Inventory
from runtime.offline.mending import MENDED
from runtime.offline.outcome import Outcome
from runtime.offline.placing import Placing, Solved
from runtime.offline.results import MOSAIC, PLACEMENTS, REGISTERED
from runtime.report.printable import printable
from runtime.report.stitch_page import StitchedMap, StitchReport, write_stitch_report
from runtime.stitch.map.export import write_png
from runtime.stitch.map.layer import write_mismatch
from runtime.stitch.map.truth import block_mismatch
from runtime.stitch.quality import Quality, quality

MISMATCH = "mismatch.ome.zarr"
PICTURE = "mosaic.png"
REPORT = "report.html"


def judged(scan: RecordedScan, placing: Placing, solved: Solved) -> Quality:
    """Return the quality of a map, its pictures compared with each other in every overlap."""
    truth = block_mismatch(
        solved.placed, placing.read, shape_px=scan.shape_px, distortion=placing.distortion
    )
    covariances_px2 = {pair: shift.covariance_px2 for pair, shift in placing.shifts.items()}
    return quality(solved.placed, solved.seams, covariances_px2, truth)


def write_report(
    out: Path, name: str, *, outcome: Outcome, placing: Placing, found: Quality, scan: RecordedScan,
    inventory: Inventory,
) -> dict[str, str]:  # fmt: skip
    """Write the page, and the layer that shows the mismatch over the map; return their paths."""
    picture = out / PICTURE
    where = write_png(out / MOSAIC, picture)
    write_mismatch(found.truth, out / MOSAIC, out / MISMATCH)
    x0, y0 = where["origin_px"]
    placed = [tile.place.tile_id for tile in found.tiles]
    names = (MOSAIC, PICTURE, MISMATCH, PLACEMENTS, REGISTERED, MENDED)
    report = StitchReport(
        name=printable(name),
        verdict=outcome.verdict,
        words=outcome.ending.words,
        files={one: printable(placing.file_name(one)) for one in placed},
        links={one: placing.file(one) for one in placed},
        quality=found,
        left_out=[
            (printable(one.name), one.fate, printable(one.why)) for one in inventory.left_out
        ],
        map=StitchedMap(
            picture=picture,
            origin_px=(float(x0), float(y0)),
            scale=float(where["scale"]),
            shape_px=scan.shape_px,
        ),
        written=[out / file for file in names if (out / file).exists()],
    )
    page = write_stitch_report(out / REPORT, report)
    return {"report": str(page), "mismatch": str(out / MISMATCH), "picture": str(picture)}
