"""`nightscope model list | verify`: which bundles there are, and whether they can be trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from runtime.inference.bundle import find_bundle, list_bundles, open_bundle
from runtime.inference.selftest import verify as selftest
from runtime.settings import SHIPPED_MODELS


def list_models(*, folder: Path | None, console: Console) -> dict[str, Any]:
    """Return a row for every bundle in a folder, its signature and hashes checked."""
    shelf = folder or SHIPPED_MODELS
    rows = list_bundles(shelf, keys=shelf / "keys")
    table = Table("model", "classes", "pixel size µm", "accuracy fp32", "int8", "signed by")
    for row in rows:
        table.add_row(*_cells(row))
    console.print(table if rows else f"no bundles in {shelf}")
    return {"models": rows}


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    if "refused" in row:
        return row["file"], "", "", "", "", f"refused: {row['refused']}"
    low_um, high_um = row["pixel_size_um"]
    accuracies = (f"{row['metrics'][p]['accuracy']:.3f}" for p in ("fp32", "int8"))
    classes = ", ".join(row["classes"])
    name = f"{row['name']} {row['version']}"
    return name, classes, f"{low_um} to {high_um}", *accuracies, row["signed_by"]


def verify(*, bundle: str, console: Console) -> dict[str, Any]:
    """Check a bundle's signature and hashes, then its golden tiles on every back end here."""
    path = find_bundle(SHIPPED_MODELS, bundle)
    opened = open_bundle(path, keys=_keys(path))
    rows = selftest(opened)
    console.print(f"{path.name}: signed by {opened.signed_by}; every file as the manifest says")
    for row in rows:
        ran = f"{row['backend']} {row['precision']} {row['layout']}"
        console.print(f"  {ran}: golden tiles off by {row['worst']:.2g}")
    return {"bundle": str(path), "signed_by": opened.signed_by, "golden": rows}


def _keys(path: Path) -> Path:
    """Return the trusted keys: those beside the bundle's shelf, else the shipped ones."""
    beside = path.parent / "keys"
    return beside if beside.is_dir() else SHIPPED_MODELS / "keys"
