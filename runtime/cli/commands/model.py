"""`nightscope model list | verify | bench`: which bundles there are, if to trust them, how fast."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from runtime.appliance.models.trials import settle
from runtime.cli.table import table
from runtime.clock import SystemClock
from runtime.config.models_here import models_here
from runtime.config.settings import ModelsSection
from runtime.errors import ConfigRefused
from runtime.inference.bundle import list_bundles, open_bundle
from runtime.inference.selftest import verify as selftest
from runtime.inference.shelf import ModelShelf, shelf_of
from runtime.inference.store import ModelSlots
from runtime.offline.model_bench import bench as run_bench
from runtime.report.wording import counted
from runtime.tasks.registry import RECORDS


def list_models(
    *, folder: Path | None, settings: Path | None = None, console: Console
) -> dict[str, Any]:
    """Return a row for every bundle of the device, or of a folder, its signature and hashes
    checked; "state" says what an installed one is. Raises ConfigRefused for what is no folder.
    """
    if folder is not None and not folder.is_dir():
        raise ConfigRefused(f"{folder} is not a folder", remedy="name the folder of the bundles")
    models = models_here(settings)
    for decision in settle(models, SystemClock()) if folder is None else ():
        console.print(decision.words)
    shelf = shelf_of(models)
    rows = (
        shelf.rows(RECORDS)
        if folder is None
        else list_bundles(folder, keys=shelf.keyring, tasks=RECORDS)
    )
    shown = table("model", "task", "answers", "pixel size µm", "how good", "signed by", "state")
    for row in rows:
        row["state"] = "" if folder is not None else _state(row, shelf, models)
        shown.add_row(*_cells(row))
    console.print(shown if rows else f"no bundles in {folder or models.folder}")
    return {"models": rows, "store": None if models.store is None else str(models.store)}


def _state(row: dict[str, Any], shelf: ModelShelf, models: ModelsSection) -> str:
    """Return in words what a bundle is on this device."""
    name = row.get("name", "")
    if not row.get("path", "").startswith(f"{models.store}/"):
        kept = shelf.state.model(name).kept
        newer = kept is not None and name in shelf.installed
        return f"shipped; {kept.version} in its place" if newer and kept else "shipped"
    return " ".join(_installed(shelf.state.model(name)))


def _installed(slots: ModelSlots) -> list[str]:
    trial = slots.trial
    others = [one.version for slot, one in slots.slots.items() if slot != slots.active]
    words = ["active" if trial is None else f"on trial: {trial.good_tiles} of"]
    if trial is not None:
        words.append(counted(trial.needs, "good tile"))
    return [*words, *(f"(before: {version})" for version in others)]


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    if "refused" in row:
        return row["file"], "", "", "", "", f"refused: {row['refused']}", row["state"]
    sizes_um = (
        "any" if row["pixel_size_um"] is None else " to ".join(map(str, row["pixel_size_um"]))
    )
    measure, metrics = row["measure"], row["metrics"]
    good = ", ".join(f"{precision} {found[measure]:.3f}" for precision, found in metrics.items())
    name = f"{row['name']} {row['version']}"
    about = (row["task"], row["answers"], sizes_um)
    return name, *about, f"{measure}: {good}", row["signed_by"], row["state"]


def verify(*, bundle: str, settings: Path | None = None, console: Console) -> dict[str, Any]:
    """Check a bundle's signature and hashes, then its golden examples on every back end here."""
    shelf = shelf_of(models_here(settings))
    path = shelf.find(bundle)
    opened = open_bundle(path, keys=shelf.keyring, tasks=RECORDS)
    rows = selftest(opened)
    console.print(f"{path.name}: signed by {opened.signed_by}; every file as the manifest says")
    for row in rows:
        ran = f"{row['backend']} {row['precision']} {row['layout']}"
        off = ", ".join(f"{tensor} off by {worst:.2g}" for tensor, worst in row["worst"].items())
        console.print(f"  {ran}: golden {off}")
    return {"bundle": str(path), "signed_by": opened.signed_by, "golden": rows}


def bench(
    *,
    bundle: str,
    tiles: int,
    threads: int | None,
    settings: Path | None = None,
    console: Console,
) -> dict[str, Any]:
    """Time every back end, precision and layout of a bundle here, and mark the one chosen.

    `threads` None means all cores this process may use.
    """
    models = models_here(settings)
    shelf = shelf_of(models)
    path = shelf.find(bundle)
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("timing", total=None)
        figures = run_bench(
            open_bundle(path, keys=shelf.keyring, tasks=RECORDS),
            tiles=tiles,
            threads=threads or len(os.sched_getaffinity(0)),
            clock=SystemClock(),
            cache=models.cache,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    before = figures["preprocessing"]
    console.print(f"{figures['model']} on {figures['machine']}, {figures['threads']} threads")
    console.print(_timings(figures["rows"]))
    console.print(
        f"of each, preprocessing: p50 {before['p50_ms']:.1f} ms, p99 {before['p99_ms']:.1f} ms; "
        f"{figures['tiles']} tiles of {' x '.join(map(str, figures['tile_px']))} px"
    )
    return figures


def _timings(rows: list[dict[str, Any]]) -> Table:
    shown = table("", "back end", "precision", "streams")
    for title in ("p50 ms", "p99 ms", "tiles/s", "load ms"):
        shown.add_column(title, justify="right")
    for row in rows:
        told = (row["backend"], row["precision"], row["layout"])
        figures = (row.get(name) for name in ("p50_ms", "p99_ms", "tiles_per_s", "load_ms"))
        cells = ("" if value is None else f"{value:.1f}" for value in figures)
        shown.add_row("chosen" if row["chosen"] else "", *told, *cells)
    return shown
