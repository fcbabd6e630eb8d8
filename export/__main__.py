"""`python -m export`: train, evaluate, pack and sign models; nothing here runs on a device."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean, pstdev
from typing import Annotated, Any

import numpy as np
import typer
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as Eta

from export.artefacts import Artefacts
from export.build import Data, build, read_data, test_metrics
from export.config import TrainingConfig, read_config
from export.lbp_table import make_table
from export.pack import pack as pack_bundle
from export.sign import make_key
from runtime.errors import NightscopeError

app = typer.Typer(help="Train, evaluate, pack and sign models.", no_args_is_help=True)

Config = Annotated[Path, typer.Option(metavar="TOML", help="Training configuration.")]
Out = Annotated[Path, typer.Option(metavar="DIR", help="Where the result goes.")]
DEFAULT = Path(__file__).parent / "configs" / "mussel_tissue.toml"


@app.command("lbp-table")
def lbp_table(out: Annotated[Path, typer.Option(metavar="NPY")]) -> None:
    """Make the 256 x 3 table of LBP codes and print its stress.

    `python -m export lbp-table --out lbp_mds.npy`
    """
    table = make_table()
    np.save(out, table.coordinates)
    typer.echo(json.dumps({"file": str(out), "kruskal_stress_1": round(table.stress, 4)}))


@app.command()
def train(
    out: Out,
    config: Config = DEFAULT,
    seed: Annotated[int, typer.Option(help="Fixes weights, patches and noise.")] = 0,
) -> None:
    """Train one model, quantise it, and leave both with their metrics in a folder.

    `python -m export train --out build/mussel --seed 0`
    """
    settings = read_config(config)
    artefacts = _build(settings, read_data(settings, config.parent), seed=seed)
    artefacts.write(out)
    typer.echo(json.dumps(artefacts.about["metrics"], indent=1))


@app.command()
def evaluate(
    out: Out,
    config: Config = DEFAULT,
    seeds: Annotated[int, typer.Option(min=1, help="How many trainings.")] = 3,
) -> None:
    """Train several seeds; write fp32 beside int8, mean and spread, on validation and test.

    `python -m export evaluate --out build/mussel --seeds 3`
    """
    settings = read_config(config)
    data = read_data(settings, config.parent)
    runs = []
    for seed in range(seeds):
        artefacts = _build(settings, data, seed=seed)
        artefacts.write(out / f"seed{seed}")
        runs.append(_all_metrics(artefacts, data))
        (out / "evaluation.json").write_text(json.dumps(_summary(runs), indent=1) + "\n")
    typer.echo(json.dumps(_summary(runs)["summary"], indent=1))


@app.command()
def pack(
    source: Annotated[Path, typer.Option("--from", metavar="DIR", help="From 'train'.")],
    key: Annotated[Path, typer.Option(metavar="PEM", help="Private Ed25519 key.")],
    out: Annotated[Path, typer.Option(metavar="BUNDLE", help="The .nsb file to write.")],
) -> None:
    """Pack and sign a trained model.

    `python -m export pack --from build/mussel --key signing.pem --out models/mussel-1.0.0.nsb`
    """
    pack_bundle(Artefacts.read(source), key=key, out=out)
    typer.echo(json.dumps({"bundle": str(out), "bytes": out.stat().st_size}))


@app.command()
def key(out: Annotated[Path, typer.Option(metavar="PEM")]) -> None:
    """Make a signing key; its public half goes into the device's models/keys folder.

    `python -m export key --out signing.pem`
    """
    typer.echo(json.dumps({"private": str(out), "public": str(make_key(out))}))


def _build(settings: TrainingConfig, data: Data, *, seed: int) -> Artefacts:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), Eta())
    with Progress(*columns) as bar:
        task: TaskID = bar.add_task(f"seed {seed}", total=None)

        def show(step: int, steps: int, loss: float) -> None:
            bar.update(
                task, completed=step, total=steps, description=f"seed {seed} loss {loss:.3f}"
            )

        table = make_table()
        return build(settings, data, table.coordinates, seed=seed, examples=512, progress=show)


def _all_metrics(artefacts: Artefacts, data: Data) -> dict[str, Any]:
    found: dict[str, Any] = {
        precision: {"validation": values}
        for precision, values in artefacts.about["metrics"].items()
    }
    if data.test is not None:
        for precision, sets in test_metrics(artefacts, data.test).items():
            found[precision] |= {f"test {name}": values for name, values in sets.items()}
    return found


def _summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the runs and, for every precision, set and metric, its mean and spread over seeds."""
    summary = {
        precision: {
            name: {
                metric: [
                    round(mean(run[precision][name][metric] for run in runs), 4),
                    round(pstdev([run[precision][name][metric] for run in runs]), 4),
                ]
                for metric in values
            }
            for name, values in sets.items()
        }
        for precision, sets in runs[0].items()
    }
    return {"summary": summary, "runs": runs}


def main() -> None:
    """Run the command line; our errors become one line and their own exit code."""
    try:
        app()
    except NightscopeError as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(error.exit_code) from None


if __name__ == "__main__":
    main()
