"""`nightscope export`: train, evaluate, pack and sign models; nothing here runs on a device."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from export.evaluate import command as evaluating
from export.evaluate.matching import command as matching
from export.extras import require_extra
from export.progress import shown
from runtime.errors import InputRefused, NightscopeError

app = typer.Typer(help="Train, evaluate, pack and sign models.", no_args_is_help=True)

Config = Annotated[Path, typer.Option(metavar="TOML", help="Training configuration.")]
Data = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder of the images; the mussel sections need none."),
]
Out = Annotated[Path, typer.Option(metavar="DIR", help="Where the result goes.")]


@app.callback()
def check_installed() -> None:
    """Train, evaluate, pack and sign models."""
    require_extra()


@app.command("lbp-table")
def lbp_table(out: Annotated[Path, typer.Option(metavar="NPY")]) -> None:
    """Make the 256 x 3 table of LBP codes and print its stress.

    `nightscope export lbp-table --out lbp_mds.npy`
    """
    from export.texture.lbp_table import make_table

    table = make_table()
    np.save(out, table.coordinates)
    typer.echo(json.dumps({"file": str(out), "kruskal_stress_1": round(table.stress, 4)}))


@app.command("lbp-picture")
def lbp_picture(
    image: Annotated[Path, typer.Option(metavar="FILE", help="A grey image.")],
    out: Annotated[Path, typer.Option(metavar="PNG")],
    top_px: Annotated[int, typer.Option(min=0, help="First row shown.")] = 0,
    left_px: Annotated[int, typer.Option(min=0, help="First column shown.")] = 0,
    side_px: Annotated[int, typer.Option(min=1, help="Side of the square shown.")] = 280,
) -> None:
    """Draw a tile beside its LBP maps, in the colours of the table's coordinates.

    `nightscope export lbp-picture --image tile.png --out lbp.png`
    """
    from export.texture.lbp_picture import write_lbp_picture
    from export.texture.lbp_table import stored_table

    lut = stored_table().coordinates
    write_lbp_picture(image, out, lut, top_px=top_px, left_px=left_px, side_px=side_px)


@app.command()
def outlines(config: Config) -> None:
    """Draw the outlines of labelled sections to the edge that can be seen, in their files.

    What was drawn by hand is kept beside them.

    `nightscope export outlines --config mussel_tissue.toml`
    """
    from export.config.data import SectionsData
    from export.config.training import read_config
    from export.datasets.outlines import draw_outlines

    data = read_config(config).data
    if not isinstance(data, SectionsData):
        raise InputRefused(
            f"{config} has no outlines",
            value=f"reader {data.reader}",
            limit="sections",
            remedy="give the configuration of labelled sections",
        )
    for section in (data.section, data.test_section):
        less = draw_outlines(section, config.parent)
        typer.echo(json.dumps({"labels": str(section.labels), "taken_away": round(less, 4)}))


@app.command()
def train(
    config: Config,
    out: Out,
    data: Data = None,
    seed: Annotated[int, typer.Option(help="Fixes division, weights and order.")] = 0,
) -> None:
    """Train one model, quantise it, and leave both with their metrics in a folder.

    A training that was stopped goes on where it was: give the same --out again.

    `nightscope export train --config uhcs_compact_late.toml --data uhcs_sem --out build/uhcs`
    """
    from export.tasks.registry import Order, make

    with shown() as progress:
        artefacts = make(Order(config=config, data=data, seed=seed, out=out), progress)
    artefacts.write(out)
    typer.echo(json.dumps(artefacts.about["origin"]["metrics"], indent=1))


@app.command()
def pack(
    source: Annotated[Path, typer.Option("--from", metavar="DIR", help="From 'train'.")],
    key: Annotated[Path, typer.Option(metavar="PEM", help="Private Ed25519 key.")],
    out: Annotated[Path, typer.Option(metavar="BUNDLE", help="The .nsb file to write.")],
    fp32: Annotated[bool, typer.Option(help="Take the fp32 model along.")] = True,
    card: Annotated[
        Path | None, typer.Option(metavar="MD", help="In place of the card beside the model.")
    ] = None,
) -> None:
    """Pack and sign a trained model with its card.

    `nightscope export pack --from build/uhcs --key signing.pem --out models/uhcs-1.0.0.nsb`
    """
    from export.bundle.artefacts import Artefacts
    from export.bundle.pack import pack as pack_bundle

    artefacts = Artefacts.read(source)
    if card is not None:
        artefacts = replace(artefacts, card=card.read_text(encoding="utf-8"))
    pack_bundle(artefacts, key=key, out=out, with_fp32=fp32)
    typer.echo(json.dumps({"bundle": str(out), "bytes": out.stat().st_size}))


@app.command("refit-guard")
def refit_guard(
    source: Annotated[Path, typer.Option("--from", metavar="BUNDLE", help="A classifier's .nsb.")],
    config: Config,
    key: Annotated[Path, typer.Option(metavar="PEM", help="Private Ed25519 key.")],
    out: Annotated[Path, typer.Option(metavar="BUNDLE", help="The .nsb file to write.")],
    version: Annotated[str, typer.Option(metavar="X.Y.Z", help="Its version.")],
    data: Data = None,
    seed: Annotated[int, typer.Option(help="As in the training.")] = 0,
    card: Annotated[
        Path | None, typer.Option(metavar="MD", help="In place of the bundle's own card.")
    ] = None,
) -> None:
    """Fit the guard of a packed classifier anew and sign it; its networks stay, byte for byte.

    `nightscope export refit-guard --from old.nsb --config mussel_tissue.toml --key signing.pem
    --version 1.7.0 --out mussel-tissue-1.7.0.nsb`
    """
    from export.bundle.pack import pack as pack_bundle
    from export.bundle.unpack import unpack
    from export.tasks.classify.refit import refit_guard as refit
    from runtime.config.settings import ModelsSection

    artefacts = unpack(source, keys=ModelsSection().keyring)
    if card is not None:
        artefacts = replace(artefacts, card=card.read_text(encoding="utf-8"))
    with shown() as progress:
        made = refit(artefacts, config, data, version=version, seed=seed, progress=progress)
    pack_bundle(made, key=key, out=out)
    typer.echo(json.dumps({"bundle": str(out), "trust": made.about["task"]["trust"]}, indent=1))


@app.command()
def key(out: Annotated[Path, typer.Option(metavar="PEM")]) -> None:
    """Make a signing key, as `nightscope key new` does; devices trust its public half.

    `nightscope export key --out signing.pem`
    """
    from runtime.appliance.models.keys import new_key
    from runtime.config.models_here import models_here

    public = new_key(out, passphrase="", models=models_here())
    typer.echo(json.dumps({"private": str(out), "public": str(public)}))


@app.command("demis-generate")
def demis_generate(
    out: Out,
    images: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Grey images to cut grids from, in place of textures."),
    ] = None,
    grids: Annotated[int, typer.Option(min=1, help="How many grids, of one image each.")] = 3,
    rows: Annotated[int, typer.Option(min=1, help="Rows of tiles in a grid.")] = 3,
    columns: Annotated[int, typer.Option(min=1, help="Columns of tiles in a grid.")] = 3,
    tile_px: Annotated[int, typer.Option(min=64, help="Side of a tile.")] = 1024,
    rotation_deg: Annotated[
        float, typer.Option(min=0.0, max=45.0, help="Tiles are turned by up to this, either way.")
    ] = 5.0,
    shift_px: Annotated[
        float, typer.Option(min=0.0, help="Tiles lie off their place by up to this.")
    ] = 30.0,
    noise: Annotated[
        float, typer.Option(min=0.0, help="Deviation of the noise, grey levels of 255.")
    ] = 5.0,
    seed: Annotated[int, typer.Option(min=0, help="Decides everything else.")] = 0,
) -> None:
    """Make grids of overlapping tiles whose true places are known, as the DEMIS data set has them.

    Tiles overlap by a fifth, each turned, moved, lighter or darker and noisy for itself. Without
    --images they are cut from textures made by chance. `truth.json` tells where each tile lies.

    `nightscope export demis-generate --out build/demis --seed 1`
    """
    from export.datasets.demis_scan import GridPlan, ScanErrors, generate

    plan = GridPlan(grids=grids, rows=rows, columns=columns, tile_px=tile_px)
    errors = ScanErrors(rotation_deg=rotation_deg, shift_px=shift_px, noise=noise)
    with shown() as progress:
        truth = generate(out, plan, errors, images=images, seed=seed, progress=progress)
    tiles = sum(len(grid.tiles) for grid in truth.grids)
    typer.echo(json.dumps({"dataset": str(out), "grids": len(truth.grids), "tiles": tiles}))


evaluating.register(app)
matching.register(app)


def main() -> None:
    """Run the command line; our errors become one line and their own exit code."""
    try:
        app()
    except NightscopeError as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(error.exit_code) from None


if __name__ == "__main__":
    main()
