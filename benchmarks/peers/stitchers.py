"""Stitchers, each called by its own interface on a folder of `stitching.py`.

Runs in a peer's own environment, so nothing of ours is imported but for our own stitcher. Writes
where each tile's pixel (0, 0) lies, [[x, y], ...] in the order of the names, and how long that took
from files to places, libraries loaded; with `--mosaic` the peer's own mosaic too.
"""

from __future__ import annotations

import argparse
import json
import warnings
from importlib import import_module
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

Corners = list[list[float]]


def ashlar(folder: Path, facts: dict[str, Any], mosaic: Path | None) -> Corners:
    """Edges by phase correlation, a spanning tree, a linear model for the rest."""
    from ashlar import fileseries, reg

    side, pixel_um = facts["side"], facts["pixel_size_um"]
    links = folder / "series"
    links.mkdir(exist_ok=True)
    for index, name in enumerate(facts["names"]):
        link = links / f"tile_{index:03}.tif"
        if not link.exists():
            link.symlink_to(folder / f"{name}.tif")
    reader = fileseries.FileSeriesReader(
        str(links),
        pattern="tile_{series:3}.tif",
        overlap=facts["overlap"],
        width=side,
        height=side,
        layout="raster",
        direction="horizontal",
        pixel_size=pixel_um,
    )
    aligner = reg.EdgeAligner(
        reader, max_shift=4 * facts["jitter_px"] * pixel_um, do_make_thumbnail=False
    )
    aligner.run()
    if mosaic is not None:
        drawn = reg.Mosaic(aligner, aligner.mosaic_shape)
        aligner.reader = aligner.reader.reader
        reg.PyramidWriter([drawn], str(mosaic.with_suffix(".ome.tif"))).run()
    return [[float(x), float(y)] for y, x in aligner.positions]


def m2stitch(folder: Path, facts: dict[str, Any], mosaic: Path | None) -> Corners:
    """MIST's method: phase correlation, a stage model, NCC search. Draws nothing.

    The tiles' means are taken out first: its NCC does not centre its norms, and fails as it is.
    Its environment needs tifffile too.
    """
    import m2stitch
    import numpy as np
    import tifffile

    del mosaic
    tiles = np.stack([tifffile.imread(folder / f"{n}.tif").astype(float) for n in facts["names"]])
    tiles -= tiles.mean(axis=(1, 2), keepdims=True)
    rows, columns = np.divmod(np.arange(len(tiles)), facts["side"])
    placed, _ = m2stitch.stitch_images(tiles, rows, columns, row_col_transpose=False)
    return placed[["x_pos", "y_pos"]].astype(float).to_numpy().tolist()


def stitch2d(folder: Path, facts: dict[str, Any], mosaic: Path | None) -> Corners:
    """SIFT on whole tiles, one offset a pair."""
    import cv2
    import numpy as np
    from stitch2d import StructuredMosaic

    links = folder / "eight_bit"
    links.mkdir(exist_ok=True)
    for index, name in enumerate(facts["names"]):
        tile = cv2.imread(str(folder / f"{name}.tif"), cv2.IMREAD_UNCHANGED).astype(np.float32)
        low, high = np.percentile(tile, [0.1, 99.9])
        grey = np.clip((tile - low) * (255 / max(high - low, 1)), 0, 255).astype(np.uint8)
        cv2.imwrite(str(links / f"tile_{index:03}.tif"), grey)
    scan = StructuredMosaic(
        str(links), dim=facts["side"], origin="upper left", direction="horizontal", pattern="raster"
    )
    scan.align()
    scan.reset_tiles()
    if mosaic is not None:
        scan.smooth_seams()
        scan.save(str(mosaic.with_suffix(".tif")))
    corners = {}
    for row in scan.grid:
        for tile in row:
            if tile is not None and tile.x is not None:
                corners[Path(tile.source).stem] = [float(tile.x), float(tile.y)]
    wanted = [f"tile_{index:03}" for index in range(len(facts["names"]))]
    if len(corners) < len(wanted):
        raise SystemExit(f"{len(wanted) - len(corners)} of {len(wanted)} tiles not placed")
    return [corners[name] for name in wanted]


def nightscope(folder: Path, facts: dict[str, Any], mosaic: Path | None) -> Corners:
    """Our own, from files to places, and to the map."""
    from runtime.offline.stitch import FolderStitch, StitchRequest

    request = StitchRequest(
        folder=folder, positions=Path("stage.txt"), stage_sigma_px=facts["jitter_px"]
    )
    stitch = FolderStitch(request)
    stitch.take()
    placing = stitch._placing
    assert placing is not None
    placing.straighten()
    placed = placing.solve().placed
    if mosaic is not None:
        stitch.finish(mosaic.with_suffix(""))
    return [[placed[name].x_px, placed[name].y_px] for name in facts["names"]]


STITCHERS = {
    "ashlar": ashlar, "m2stitch": m2stitch, "nightscope": nightscope, "stitch2d": stitch2d
}  # fmt: skip

LOADED = {"ashlar": "ashlar.reg", "nightscope": "runtime.offline.stitch"}
"""What loads a tool's libraries, before the time counts."""


def load(tool: str) -> None:
    """Load what a tool uses: modules, and our compiled kernels in a process set up as ours is."""
    if tool == "nightscope":
        process = import_module("runtime.cli.process")
        process.leave_cores_to_threads_of_ours()
        process.give_back_what_is_freed()
    import_module(LOADED.get(tool, tool))
    if tool == "nightscope":
        import_module("runtime.stitch.warm").warm_kernels()


def main() -> None:
    """Stitch one folder by one tool."""
    parser = argparse.ArgumentParser()
    parser.add_argument("tool", choices=list(STITCHERS))
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--mosaic", action="store_true")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    facts = json.loads((asked.folder / "grid.json").read_text())
    load(asked.tool)
    cpu_s, wall_s = process_time(), perf_counter()
    corners = STITCHERS[asked.tool](asked.folder, facts, asked.out if asked.mosaic else None)
    took = {"cpu_s": process_time() - cpu_s, "wall_s": perf_counter() - wall_s}
    asked.out.write_text(json.dumps({"corners_px": corners} | took))


if __name__ == "__main__":
    main()
