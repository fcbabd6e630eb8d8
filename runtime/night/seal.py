"""How a run begins: with its own copy of everything that its results depend on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runtime.calibrated.loaded import record_files
from runtime.config.plan import Plan
from runtime.config.plan_file import parse_plan_text
from runtime.config.settings import Settings, parse_settings
from runtime.inference.shelf import shelf_of
from runtime.record.run_folder import RunFolder


def seal(
    folder: RunFolder,
    *,
    plan_text: str,
    settings_text: str,
    paths_from: Path | None = None,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Make the run folder, whole, with the models that plan and settings mean today, the keys, and
    the newest calibration records: whatever is laid beside them later, this run keeps to these.

    Raises ConfigRefused for plan or settings that cannot be used or a folder that is taken, and
    ModelRefused for a model that is not there.
    """
    base = folder.path if paths_from is None else paths_from
    plan = parse_plan_text(plan_text, source="the plan")
    settings = parse_settings(settings_text, source=Path("the settings"), base=base)
    bundles = bundles_of(plan, settings)
    keyring = shelf_of(settings.models).keyring
    folder.create(
        plan_text=plan_text,
        settings_text=settings_text,
        paths_from=paths_from,
        records=() if settings.records is None else record_files(settings.records),
        bundles=bundles,
        keys=keyring.trusted() if bundles else (),
        facts=facts,
    )


def bundles_of(plan: Plan, settings: Settings) -> dict[str, Path]:
    """Return the file of every model that a night needs, by task."""
    from runtime.tasks.match.finder import finder_file

    models = settings.models
    shelf = shelf_of(models)
    found = {"match": finder_file(models)}
    if plan.model is not None:
        found["classify"] = shelf.find(plan.model)
    if settings.focus.first == "network":
        found["focus"] = shelf.find(models.focus)
    return {task: file for task, file in found.items() if file is not None}
