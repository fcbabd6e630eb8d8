"""The focus curve of a recorded stack: every measure at every plane, and the best plane of each."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from runtime.focus.curve import Curve, Observation
from runtime.focus.regions import informative_regions
from runtime.focus.sharpness import MEASURES, Measure, saturated_fraction
from runtime.offline.curve_plot import draw_curves
from runtime.offline.focus_stack import Stack, StackPlane, read_planes, shown
from runtime.offline.stack_source import find_stack
from runtime.record.storage import make_folder, write_durably
from runtime.report.printable import cell

Progress = Callable[[int, int], None]
STEPS_DIFFER = 0.02
"""Share by which a step may differ from what a file says: positions are read back from a stage."""
Region = Literal["informative", "full"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """The curves of a stack by measure, over micrometres, or over planes where nobody says."""

    curves: dict[str, Curve]
    saturated: list[float]
    region_share: float


def focus_curve(
    source: Path,
    *,
    out: Path,
    step_um: float | None = None,
    full_scale: int | None = None,
    region: Region = "informative",
    channel: str | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write `focus_curve.csv` and `focus_curve.png` into `out`; return the best plane per measure.

    The planes are files of a folder, ordered by the last number in their names, or pages of one
    TIFF, of its `channel`. `step_um` is the z from one to the next; by itself it is what the file
    says, and else planes are counted.
    `full_scale` is where the camera saturates, by itself the lowest depth of 8, 10, 12, 14 or 16
    bits that nothing exceeds. Pixels are measured as they are, signed and fractional ones by one
    scale. "words" says what is wrong with files and curves; then "exit_code" is 5. Raises
    InputRefused for what holds no stack.
    """
    stack = find_stack(source, channel=channel)
    measured = _measure(stack, step_um, full_scale, region, progress)
    best = {name: _best(stack, curve) for name, curve in measured.curves.items()}
    words = [
        *stack.words,
        *_contradicted(stack, step_um),
        *_doubts(best, measured, float(stack.stride)),
    ]
    make_folder(out)
    table, plot = out / "focus_curve.csv", out / "focus_curve.png"
    write_durably(table, _table(stack, measured, step_um))
    unit = "plane" if _z_um(stack, stack.planes[0], step_um) is None else "z, um"
    write_durably(plot, draw_curves({n: c.points for n, c in measured.curves.items()}, unit=unit))
    return {
        "planes": len(stack.planes),
        "best": best,
        "z_told_by": _told_by(stack, step_um),
        "region_share": round(measured.region_share, 3),
        "left_out": stack.left_out,
        "missing": [shown(number) for number in stack.missing],
        "unsorted": list(stack.unsorted),
        "words": words,
        "csv": str(table),
        "png": str(plot),
        "exit_code": 5 if words else 0,
    }


def _measure(
    stack: Stack,
    step_um: float | None,
    full_scale: int | None,
    region: Region,
    progress: Progress | None,
) -> _Measured:
    top = stack.saturates_at(full_scale)
    measures, share = dict(MEASURES), 1.0
    if region == "informative":
        regions = informative_regions(read_planes(stack), full_scale=top)
        measures = {name: regions.measure(one) for name, one in MEASURES.items()}
        share = regions.share
    curves = {name: Curve() for name in measures}
    saturated = []
    for done, (plane, pixels) in enumerate(zip(stack.planes, read_planes(stack), strict=True), 1):
        saturated.append(saturated_fraction(pixels, full_scale=top))
        z_um = _z_um(stack, plane, step_um)
        z = float(plane.number) if z_um is None else z_um
        for name, measure in measures.items():
            curves[name].observed.append(_seen(measure, pixels, z, saturated[-1]))
        if progress is not None:
            progress(done, len(stack.planes))
    return _Measured(curves=curves, saturated=saturated, region_share=share)


def _z_um(stack: Stack, plane: StackPlane, step_um: float | None) -> float | None:
    """Return where a plane lies; None where nobody says."""
    return plane.z_um if step_um is None else stack.depth(plane) * step_um


def _told_by(stack: Stack, step_um: float | None) -> str:
    if step_um is not None:
        return "--step-um"
    return stack.z_told_by or "nobody: planes are counted"


def _contradicted(stack: Stack, step_um: float | None) -> list[str]:
    """Return what the file says of z other than a person."""
    first, second = (plane.z_um for plane in stack.planes[:2])
    if step_um is None or first is None or second is None:
        return []
    told_um = (second - first) / stack.depth(stack.planes[1])
    if math.isclose(abs(told_um), abs(step_um), rel_tol=STEPS_DIFFER):
        return []
    said = f"{stack.z_told_by} says {abs(told_um):g} µm from plane to plane"
    return [f"--step-um {step_um:g} is used, where {said}"]


def _seen(measure: Measure, pixels: Any, z: float, saturated: float) -> Observation:
    return Observation(
        z_um=float(z),
        sharpness=measure(pixels),
        saturated_fraction=saturated,
        noise=measure.noise(pixels.size),
    )


def _best(stack: Stack, curve: Curve) -> dict[str, Any]:
    """Return the sharpest plane, the top between planes, and what a reader should doubt."""
    at = curve.observed.index(curve.best)
    plane = stack.planes[at]
    doubts = []
    if curve.contrast < curve.least_contrast:
        doubts.append("rises no more than noise does")
    if curve.edge:
        end = "first" if at == 0 else "last"
        doubts.append(f"is highest at the {end} plane: the sharpest may lie beyond")
    if curve.rival_tops_um:
        tops = ", ".join(f"{z:g}" for z in curve.rival_tops_um)
        doubts.append(f"has other tops, at {tops}")
    return {
        "plane": shown(plane.number),
        "file": plane.name,
        "top": round(curve.rough_top_um, 3),
        "doubts": doubts,
    }


def _doubts(best: dict[str, dict[str, Any]], measured: _Measured, stride: float) -> list[str]:
    said = [f"{name} {doubt}" for name, found in best.items() for doubt in found["doubts"]]
    chosen = sorted({found["plane"] for found in best.values()})
    # Where the top lies half way between two planes, noise says which of them is higher.
    if chosen[-1] - chosen[0] > 1.5 * stride:
        said.append(f"the measures disagree: planes {', '.join(map(str, chosen))}")
    if max(measured.saturated) > 0 and measured.region_share == 1:
        said.append(
            f"up to {max(measured.saturated):.1%} of the pixels are saturated, which gain contrast "
            "out of focus; look at informative regions only"
        )
    return said


def _table(stack: Stack, measured: _Measured, step_um: float | None) -> bytes:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["plane", "file", "z_um", "saturated", *measured.curves])
    for at, plane in enumerate(stack.planes):
        z_um = _z_um(stack, plane, step_um)
        height = "" if z_um is None else f"{z_um:g}"
        values = [f"{curve.observed[at].sharpness:.6g}" for curve in measured.curves.values()]
        share = f"{measured.saturated[at]:.6g}"
        writer.writerow([shown(plane.number), cell(plane.name), height, share, *values])
    return buffer.getvalue().encode()
