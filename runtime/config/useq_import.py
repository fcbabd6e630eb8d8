"""Plans from `useq-schema` sequences: what both can say is taken over, the rest is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runtime.config.plan import Plan
from runtime.errors import ConfigRefused


def plan_from_useq(values: dict[str, Any], *, source: Path | str) -> Plan:
    """Return the plan a useq `MDASequence` means.

    The grid plan gives rows, columns or edges and the overlap; the first stage position the centre
    and the starting z; the one channel the light and the exposure. `metadata.nightscope` holds
    what useq has no word for (objective, model, visits, focus). Raises ConfigRefused for a
    sequence that is invalid, or that asks for what a scan does not do (time series, z-stacks,
    several channels or positions).
    """
    from pydantic import ValidationError
    from useq import MDASequence

    try:
        sequence = MDASequence.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigRefused(f"{source}: not a useq sequence: '{where}' {first['msg']}") from None
    _refuse_unsupported(sequence, source)
    own = dict(sequence.metadata.get("nightscope", {}))
    plan = {"name": own.pop("name", Path(source).stem), **_area(sequence, source), **own}
    if sequence.channels:
        plan["light"] = sequence.channels[0].config
        if sequence.channels[0].exposure is not None:
            plan["exposure_ms"] = sequence.channels[0].exposure
    return Plan.read(plan, source=source)


def _refuse_unsupported(sequence: Any, source: Path | str) -> None:
    asked = {
        "time_plan": sequence.time_plan is not None,
        "z_plan": sequence.z_plan is not None,
        "more than one channel": len(sequence.channels) > 1,
        "more than one stage position": len(sequence.stage_positions) > 1,
    }
    for name, present in asked.items():
        if present:
            raise ConfigRefused(
                f"{source}: a scan has no {name}",
                remedy="make one plan for each, or remove it from the sequence",
            )


def _area(sequence: Any, source: Path | str) -> dict[str, Any]:
    grid = sequence.grid_plan
    if grid is None:
        raise ConfigRefused(f"{source}: 'grid_plan' is missing", remedy="add rows and columns")
    plan: dict[str, Any] = {}
    overlap = max(grid.overlap) / 100
    if overlap > 0:
        plan["overlap"] = overlap
    if hasattr(grid, "top"):
        xs, ys = sorted((grid.left, grid.right)), sorted((grid.top, grid.bottom))
        return plan | {"region": {"x_um": xs, "y_um": ys}}
    if not hasattr(grid, "rows"):
        raise ConfigRefused(
            f"{source}: grid_plan of kind {type(grid).__name__} has no rows, columns or edges",
            remedy="use rows and columns, or top, left, bottom and right",
        )
    at = sequence.stage_positions[0] if sequence.stage_positions else None
    centre = (at.x or 0.0, at.y or 0.0) if at else (0.0, 0.0)
    return plan | {"grid": {"rows": grid.rows, "columns": grid.columns, "centre_um": centre}}
