"""The verbs `evaluate` and `card`, and their options."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperCommand

from export.progress import shown
from runtime.errors import ConfigRefused


class Lists(TyperCommand):
    """Lets an option that may be repeated take several values at once: `--configs A B`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat the option before each of its values, then parse as usual."""
        several = {
            name
            for option in self.params
            if getattr(option, "multiple", False)
            for name in option.opts
        }
        return super().parse_args(ctx, _spread(args, several))


def evaluate(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Trainings and report; resumable.")],
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="The labelled images.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Splits, each with its trainings.")] = 1,
    configs: Annotated[
        list[Path] | None, typer.Option(metavar="TOML...", help="Data and recipes.")
    ] = None,
    architectures: Annotated[
        list[str] | None, typer.Option(metavar="NAME...", help="compact resnet50 vgg16_bn")
    ] = None,
    inputs: Annotated[
        list[str] | None, typer.Option(metavar="NAME...", help="intensity lbp1 lbp2 lbp3 texture")
    ] = None,
    fusions: Annotated[
        list[str] | None, typer.Option(metavar="NAME...", help="none early mid late")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="In place of the recipe's.")] = None,
    image_px: Annotated[int | None, typer.Option(min=32, help="Side of the input.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Processor cores to use.")] = 2,
    int8: Annotated[bool, typer.Option(help="Quantise and run every classifier.")] = True,
) -> None:
    """Train and compare inputs, fusions and baselines; write tables, pictures and numbers.

    `nightscope export evaluate --data uhcs_sem --out build/uhcs --seeds 5`

    `nightscope export evaluate --configs focus_image.toml focus_both.toml --data DIR --out build/f`

    Stopped and started again, it goes on where it was. Prefix it with `nice` on a busy machine.
    `--fusions none late` spares the early fusions' networks: four an architecture, not eight.
    """
    if configs and _all_for_focus(configs):
        classify_only = (architectures, inputs, fusions, image_px)
        _evaluate_focus(
            configs, data, out=out, seeds=seeds, epochs=epochs, threads=threads, given=classify_only
        )
        return
    from export.evaluate.run import evaluate as run
    from export.evaluate.setup import Choices, set_up
    from export.evaluate.table import terminal

    choices = Choices(
        architectures=tuple(architectures or ()),
        inputs=tuple(inputs or ()),
        fusions=tuple(fusions or ()),
        epochs=epochs,
        image_px=image_px,
        threads=threads,
        int8=int8,
    )
    results = run(set_up(data, configs or [], choices), data, out=out, seeds=seeds)
    console = Console()
    for table in terminal(results):
        console.print(table)
    console.print(f"Written to {out}")


def _all_for_focus(configs: Sequence[Path]) -> bool:
    """Return whether the configurations are for defocus; ConfigRefused where some are not."""
    from export.config.table import read_table

    tasks = {str(read_table(path).get("task", "classify")) for path in configs}
    if "focus" in tasks and len(tasks) > 1:
        raise ConfigRefused(
            "configurations for several tasks cannot share a table",
            value=", ".join(sorted(tasks)),
            remedy="evaluate them into two folders",
        )
    return tasks == {"focus"}


def _evaluate_focus(
    configs: Sequence[Path],
    data: Path | None,
    *,
    out: Path,
    seeds: int,
    epochs: int | None,
    threads: int,
    given: Sequence[object],
) -> None:
    """Evaluate networks for defocus; `given` are the options that are for classifiers alone."""
    from export.evaluate.focus.run import evaluate as run
    from export.evaluate.focus.table import terminal

    if any(given):
        raise ConfigRefused(
            "--architectures, --inputs, --fusions and --image-px are for classifiers",
            remedy="choose among the configurations for defocus with --configs",
        )
    with shown() as progress:
        results = run(
            configs, data, out=out, seeds=seeds, epochs=epochs, threads=threads, progress=progress
        )
    console = Console()
    for table in terminal(results):
        console.print(table)
    console.print(f"Written to {out}")


def card(
    source: Annotated[Path, typer.Option("--from", metavar="DIR", help="From 'train'.")],
    out: Annotated[Path, typer.Option(metavar="MD", help="The card to write.")],
    remarks: Annotated[
        Path | None, typer.Option(metavar="MD", help="What it is known to get wrong.")
    ] = None,
) -> None:
    """Write the card of a trained model: data, licence, split, how good, what it cannot do.

    `pack` takes the card that lies beside the model, or this one with its --card.

    `nightscope export card --from build/uhcs --out models/uhcs.md`
    """
    from export.bundle.artefacts import Artefacts
    from export.bundle.card import with_remarks

    said = "" if remarks is None else remarks.read_text(encoding="utf-8")
    out.write_text(with_remarks(Artefacts.read(source).card, said), encoding="utf-8")
    typer.echo(f"Written to {out}")


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    app.command("evaluate", cls=Lists)(evaluate)
    app.command("card")(card)


def _spread(args: list[str], several: set[str]) -> list[str]:
    """Return `--configs A B` as `--configs A --configs B`; all else as it is."""
    spread: list[str] = []
    option = ""
    for arg in args:
        if arg.startswith("-"):
            option = arg if arg in several else ""
            spread.append(arg)
        elif option and spread[-1] != option:
            spread += [option, arg]
        else:
            spread.append(arg)
    return spread
