"""`nightscope stitch` and `classify`: what is done to a folder of recorded images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runtime.cli.call import call
from runtime.cli.options import (
    AsJson,
    Fix,
    Flip,
    Frame,
    Judge,
    MatcherName,
    Network,
    Out,
    Overlap,
    OwnSettings,
    Pattern,
    PixelSize,
    Positions,
    Quiet,
    StageSigma,
    Watch,
)

folders = typer.Typer()


@folders.command()
def stitch(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of tiles.")],
    out: Out = Path("stitched"),
    positions: Positions = None,
    pattern: Pattern = None,
    overlap: Overlap = None,
    matcher: MatcherName = "auto",
    network: Network = None,
    stage_sigma_px: StageSigma = None,
    fix: Fix = False,
    report: Judge = False,
    flip: Flip = False,
    frame: Frame = None,
    watch: Watch = False,
    quiet_s: Quiet = 60.0,
    as_json: AsJson = False,
) -> None:
    """Stitch a recorded scan into a mosaic with a quality number per seam.

    A few neighbours are looked at first: where the pictures contradict the positions (another scale
    or overlap, an axis mirrored or swapped, a serpentine, a turned camera), that is named and
    refused, or mended with --fix. Every file is accounted for: one that is damaged, foreign or a
    copy costs its own tile. Exit codes: 0 all tiles hold together; 5 a part of them does, and it
    says which do not and why; 3 the folder is refused, or nothing matched: then no map is drawn.
    With --watch it goes on as files come, until all that positions name are there or none came for
    --quiet-s; killed and called again, it ends with the same map.

    `nightscope stitch tiles --pattern "r{row}_c{col}.png" --overlap 0.08 --out stitched`

    `nightscope stitch tiles --positions TileConfiguration.txt --out stitched --json`
    """
    call(
        "runtime.cli.commands.stitch:stitch",
        as_json,
        folder=folder,
        positions=positions,
        pattern=pattern,
        overlap=overlap,
        out=out,
        matcher=matcher,
        network=network,
        stage_sigma_px=stage_sigma_px,
        fix=fix,
        report=report,
        bottom_first=flip,
        frame=frame,
        watch_quiet_s=quiet_s if watch else None,
    )


@folders.command()
def classify(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of images.")],
    bundle: Annotated[str, typer.Option("--model", metavar="BUNDLE", help="Name or file.")],
    out: Annotated[Path, typer.Option(metavar="CSV", help="Table to write.")] = Path("labels.csv"),
    pixel_size_um: PixelSize = None,
    flip: Flip = False,
    frame: Frame = None,
    settings: OwnSettings = None,
    as_json: AsJson = False,
) -> None:
    """Label every image of a folder with a signed model.

    Frames of a run lie raw in its `tiles`, and are corrected there as the run corrected them.

    The keys it must be signed with are those of the instrument's settings, else of this controller:
    never those that lie beside the bundle. A file that cannot be read costs its own row alone. Exit
    codes: 0 every image has a label, or is blank; 5 a file has none, or a label is doubted, and it
    says which and why; 3 the folder is refused; 6 the model is.

    `nightscope classify tiles --model mussel-tissue --out labels.csv`

    `nightscope classify tiles --model mussel-tissue --pixel-size-um 0.5 --settings settings.toml`
    """
    call(
        "runtime.cli.commands.classify:classify",
        as_json,
        folder=folder,
        model=bundle,
        out=out,
        pixel_size_um=pixel_size_um,
        flip=flip,
        frame=frame,
        settings=settings,
    )
