"""Plans from `useq-schema` sequences: what useq would visit is planned, all else is refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.config.plan import LOWEST, Focus, Plan, PlannedFrames, Silent
from runtime.errors import ConfigRefused

if TYPE_CHECKING:
    from useq import MDASequence

    from runtime.config.sequence_tiles import Visit

FIELDS = frozenset({
    "axis_order", "stage_positions", "grid_plan", "channels", "time_plan", "z_plan",
    "autofocus_plan", "setup", "keep_shutter_open_across", "metadata",
})  # fmt: skip
"""The fields of a sequence. A page with one of them at its top is a sequence, not a plan."""


def plan_from_useq(values: Mapping[str, Any], *, source: Path | str) -> Plan:
    """Return the plan that a useq `MDASequence` means.

    `metadata.nightscope` holds what useq has no word for (objective, model, visits, focus, ...);
    without an objective it is the instrument's lowest. Raises ConfigRefused, naming the field.
    """
    metadata = values.get("metadata") or {}
    own = metadata.get("nightscope", {}) if isinstance(metadata, Mapping) else None
    if not isinstance(own, Mapping):
        raise ConfigRefused(
            f"{source}: 'metadata.nightscope' is no section of a plan",
            remedy="give it as 'objective: 10x' and the like",
        )
    sequence = {key: value for key, value in values.items() if key != "metadata"}
    told = {"name": Path(source).stem, "objective": LOWEST, **own, "sequence": sequence}
    return with_sequence(Plan.read(told, source=source), source=source)


def with_sequence(plan: Plan, *, source: Path | str) -> Plan:
    """Return a plan as its `sequence` has it: light, exposure and heights.

    Raises ConfigRefused, naming the field, for a sequence that is not sound, that asks for what a
    scan does not do, or that contradicts the rest of the plan.
    """
    # Loading useq takes half a second, and most plans are none of its.
    from runtime.config.sequence import parts, read_sequence
    from runtime.config.sequence_tiles import stack_of, visits

    plan = plan.model_copy(update={"silent": None})
    assert plan.sequence is not None
    try:
        sequence = read_sequence(plan.sequence)
        found = visits(sequence)
        stacks = [stack_of(visit, plan) for visit in found]
        focus, said = _focus(plan.focus, found)
        _refuse_absolute(focus.policy, parts(sequence))
        _refuse_two_lights(stacks)
    except ConfigRefused as refused:
        raise ConfigRefused(
            f"{source}: {refused.what}",
            value=refused.value,
            limit=refused.limit,
            remedy=refused.remedy,
        ) from None
    main = stacks[0].frames[stacks[0].main]
    frames = max(len(stack.frames) for stack in stacks)
    words = (said, _main_in_words(stacks)) if frames > 1 else (said,)
    return plan.model_copy(
        update={
            "light": main.light,
            "exposure_ms": main.exposure_ms,
            "focus": focus,
            "silent": Silent(frames_a_tile=frames, light=plan.light, exposure_ms=plan.exposure_ms),
            "assumed": (*plan.assumed, *words),
        }
    )


def _main_in_words(stacks: Sequence[PlannedFrames]) -> str:
    """Return which frame of a tile of several is classified and stitched."""
    first = stacks[0].frames[stacks[0].main]
    most = max(len(stack.frames) for stack in stacks)
    height = f"{first.above_um:+g} µm from it" if first.above_um else "it"
    return (
        f"of up to {most} frames a tile, about its z, the one in {first.light} at {height} is "
        "classified and stitched"
    )


def _focus(focus: Focus, found: Sequence[Visit]) -> tuple[Focus, str]:
    """Return how focus is kept, and that in words.

    A height that the sequence names is where its tiles are taken, unless the plan asks for more.
    """
    told = focus.model_fields_set
    heights = {visit.z_um for visit in found}
    named = heights != {None}
    focused = {visit.focused for visit in found}
    if len(focused) > 1:
        raise ConfigRefused(
            "'autofocus_plan' asks for focus at some tiles only",
            remedy="name both p and g in 'autofocus_plan.axes', or give metadata.nightscope.focus",
        )
    chosen = "every-tile" if focused == {True} else "fixed" if named else "surface"
    policy = focus.policy if "policy" in told else chosen
    _refuse_heights(policy, heights, found)
    if focused == {True} and policy != "every-tile":
        raise ConfigRefused(
            f"'autofocus_plan' and focus policy '{policy}' contradict each other",
            remedy="remove one of them",
        )
    first_um = found[0].z_um
    start_um = focus.start_z_um if first_um is None else first_um
    if "start_z_um" in told and named and heights != {focus.start_z_um}:
        raise ConfigRefused(
            "'focus.start_z_um' and the z of 'stage_positions' contradict each other",
            remedy="remove one of them",
        )
    kept = focus.model_copy(update={"policy": policy, "start_z_um": start_um})
    return kept, _in_words(policy, named=named, start_um=start_um)


def _refuse_two_lights(stacks: Sequence[PlannedFrames]) -> None:
    """Raise ConfigRefused where the frames that are stitched would not be in one light."""
    lights = dict.fromkeys(stack.frames[stack.main].light for stack in stacks)
    if len(lights) > 1:
        raise ConfigRefused(
            "'channels' of 'stage_positions' begin with several lights, and one map is of one",
            value=", ".join(lights),
            remedy="name one that every tile has in metadata.nightscope.main.light",
        )


def _refuse_absolute(policy: str, inner: Iterable[tuple[MDASequence, str]]) -> None:
    """Raise ConfigRefused for heights of the stage's own under a focus that is sought."""
    for part, where in inner:
        if policy != "fixed" and part.z_plan is not None and not part.z_plan.is_relative:
            raise ConfigRefused(
                f"'{where}z_plan' is absolute, and focus policy '{policy}' moves z",
                remedy="use a relative z-plan, or focus policy 'fixed'",
            )


def _refuse_heights(policy: str, heights: set[float | None], found: Sequence[Visit]) -> None:
    """Raise ConfigRefused for heights that the focus policy would not keep to."""
    if None in heights and len(heights) > 1:
        index = next(index for index, visit in enumerate(found) if visit.z_um is None)
        raise ConfigRefused(
            "'stage_positions' give a z to some tiles only",
            value=f"tile {index} has none",
            remedy="give it to all or to none",
        )
    if policy == "surface" and len(heights) > 1:
        raise ConfigRefused(
            "'stage_positions' have several heights, and focus is kept by one surface",
            remedy="focus policy 'fixed' keeps to them, 'every-tile' begins to look there",
        )


def _in_words(policy: str, *, named: bool, start_um: float) -> str:
    if policy == "fixed":
        return "no focus is sought: every tile is taken at " + (
            "the z of the sequence" if named else f"z {start_um:g} µm"
        )
    where = "the z of the sequence" if named else f"z {start_um:g} µm"
    how = "at every tile" if policy == "every-tile" else "where the surface so far will not do"
    return f"focus is sought {how}, from {where}"
