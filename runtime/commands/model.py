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
    """Return the bundles in a folder, verified."""
    shelf = folder or SHIPPED_MODELS
    bundles = list_bundles(shelf, keys=shelf / "keys")
    table = Table("model", "version", "task", "classes", "pixel size µm", "int8", "fp32")
    return {"models": bundles} if table else {}


def verify(*, bundle: str, console: Console) -> dict[str, Any]:
    """Check signature and hashes, then run the golden tiles on every back end here."""
    path = find_bundle(SHIPPED_MODELS, bundle)
    return {
        "bundle": str(path),
        "result": selftest(open_bundle(path, keys=SHIPPED_MODELS / "keys")),
    }
