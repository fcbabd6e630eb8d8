"""The verb `demis-evaluate` and its options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from export.evaluate.command import Lists
from export.evaluate.matching.matchers import in_words
from export.progress import shown


def demis_evaluate(
    data: Annotated[
        list[Path], typer.Argument(metavar="DATASET...", help="Folders with a truth.json.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where tables and figures go.")],
    matcher: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=WEIGHTS]...", help=f"{in_words()}; sift and phase alone without it."
        ),
    ] = None,
    grids: Annotated[
        int | None, typer.Option(min=1, help="The first so many of each data set.")
    ] = None,
    correct_px: Annotated[
        float, typer.Option(min=0.0, help="How far off a match may lie and be correct.")
    ] = 3.0,
    stage_sigma_px: Annotated[
        float, typer.Option(min=0.1, help="How far off, on either axis, tiles are said to lie.")
    ] = 12.0,
    pictures: Annotated[
        bool, typer.Option(help="Draw what is stitched, and compare it with the reference.")
    ] = True,
) -> None:
    """Compare matchers on neighbouring tiles whose true places are known.

    `nightscope export demis-evaluate build/demis --out build/matching`

    `nightscope export demis-evaluate s0 s1 --matcher sift xfeat=xfeat.pt --out build/matching`

    Of several data sets, as of several seeds, means come with their spread.
    """
    from export.evaluate.matching.matchers import opened
    from export.evaluate.matching.run import Terms, evaluate
    from export.evaluate.matching.table import terminal

    matchers = opened(matcher or ["sift", "phase"])
    terms = Terms(
        grids=grids, correct_px=correct_px, stage_sigma_px=stage_sigma_px, pictures=pictures
    )
    with shown() as progress:
        results = evaluate(data, matchers, terms, out=out, progress=progress)
    console = Console()
    for table in terminal(results):
        console.print(table)
    console.print(f"Written to {out}")


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("demis-evaluate", cls=Lists)(demis_evaluate)
