"""Plans as files: a YAML page a microscopist can read, or a useq sequence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from runtime.config.plan import Plan
from runtime.config.useq_import import plan_from_useq
from runtime.errors import ConfigRefused


def load_plan(path: Path) -> Plan:
    """Return the plan in a YAML file; a `useq-schema` sequence is imported.

    Raises ConfigRefused when the file is missing, is not YAML, or holds an unknown key.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigRefused(
            f"plan {path}: {error.strerror}", remedy="name an existing YAML file"
        ) from None
    except yaml.YAMLError as error:
        raise ConfigRefused(f"{path}: not YAML: {error}".replace("\n", " ")) from None
    if not isinstance(values, dict):
        raise ConfigRefused(f"{path}: holds no plan", remedy="start with 'name: ...'")
    return parse_plan(values, source=path)


def parse_plan(values: dict[str, Any], *, source: Path | str) -> Plan:
    """Return the plan that `values` describe, importing a useq sequence by its shape."""
    if "grid_plan" in values or "stage_positions" in values:
        return plan_from_useq(values, source=source)
    return Plan.read(values, source=source)
