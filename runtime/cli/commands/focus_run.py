"""`nightscope focus run`: find focus here and now, on an instrument or the simulated one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from rich.console import Console

from runtime.cli.screen import WIDEST, plain, show
from runtime.config.settings import (
    FocusFirst,
    FocusSection,
    Settings,
    load_settings,
    parse_settings,
)
from runtime.errors import ConfigRefused
from runtime.focus.autofocus import Focused
from runtime.focus.sight import Lamp
from runtime.instrument.asked import check_mounted
from runtime.instrument.opening import open_microscope
from runtime.instrument.rig import Rig
from runtime.night.focus_here import (
    first_looks,
    focus_here,
    named_objective,
    network_for_focus,
    refuse_impossible,
)
from runtime.offline.curve_plot import draw_curves
from runtime.record.storage import make_folder, write_durably
from runtime.report.ending import Ending

DEMO = Path(__file__).resolve().parents[2] / "demo" / "settings.toml"
# Columns of what stands before a bar.
LABEL = 13


def run(
    *,
    settings: Path,
    simulator: bool,
    objective: str | None,
    place_um: tuple[float, float] | None,
    start_z_um: float | None,
    range_um: float,
    lamp: dict[str, Any],
    first: FocusFirst | None,
    out: Path,
    console: Console,
    opened: Callable[[Settings], AbstractContextManager[Rig]] = open_microscope,
) -> dict[str, Any]:
    """Find focus on the instrument and stay there; return the verdict and its curve.

    The stage is homed first, as no board keeps its place from one program to the next. The exit
    code is 0 for "ok" without a reservation alone. The light is off afterwards, whatever happens.
    """
    instrument = _instrument(settings, simulated_in=out if simulator else None, first=first)
    named = named_objective(instrument, objective)
    network = network_for_focus(instrument)  # what is refused is refused before anything moves
    x_um, y_um = instrument.calibration.textured_field_um if place_um is None else place_um
    swept = Lamp(**lamp)
    with opened(instrument) as rig:
        refuse_impossible(rig, lamp=swept, start_z_um=start_z_um)
        rig.refuse_out_of_reach({"x_um": x_um, "y_um": y_um})
        check_mounted((named,), rig)
        first_looks(rig, instrument, objective=named, network=network)
        make_folder(out)
        rig.stage.home()
        rig.turret.select(objective=named)
        rig.approach(x_um=x_um, y_um=y_um)
        here_um = rig.position().z_um if start_z_um is None else start_z_um
        found = focus_here(
            rig,
            instrument,
            objective=named,
            lamp=swept,
            start_z_um=here_um,
            range_um=range_um,
            network=network,
        )
        stands_um, simulated = rig.position().z_um, rig.simulated
    for line in bars(found.verdict.curve, width=min(console.width, WIDEST)):
        console.file.write(plain(line, getattr(console.file, "encoding", None)) + "\n")
    png = None
    try:
        png = _drawn(found, out)
    finally:
        # The stage stands where it stands, even if the disk takes no picture of why.
        ending = _ending(found, png, stands_um=stands_um, simulated=simulated)
        show(ending, console)
    return {
        **found.as_json(),
        "stage_z_um": stands_um,
        "simulated": simulated,
        "png": None if png is None else str(png),
        "exit_code": ending.exit_code,
    }


def _instrument(settings: Path, *, simulated_in: Path | None, first: str | None) -> Settings:
    if simulated_in is not None:
        text = DEMO.read_text(encoding="utf-8").format(seed=0, speed=100)
        instrument = parse_settings(text, source=DEMO, base=simulated_in)
    else:
        instrument = load_settings(settings)
    if instrument.recording is not None:
        raise ConfigRefused(
            f"{settings} plays a recording, of which nothing can be focused any more",
            remedy="for a recorded stack: nightscope focus curve DIR",
        )
    if first is None:
        return instrument
    return instrument.model_copy(update={"focus": FocusSection.model_validate({"first": first})})


def _drawn(found: Focused, out: Path) -> Path | None:
    """Write the curve as a picture; return where, or None where no sweep was needed."""
    if not found.verdict.curve:
        return None
    png = out / "focus_run.png"
    write_durably(png, draw_curves({"brenner": found.verdict.curve}, unit="z, um"))
    return png


def _ending(found: Focused, png: Path | None, *, stands_um: float, simulated: bool) -> Ending:
    verdict = found.verdict
    done = f"looked by {found.by}, {verdict.exposures} exposures"
    if verdict.status == "ok":
        done = f"focus at z {verdict.z_um:+.2f} ± {verdict.sigma_z_um:.2f} µm, by {found.by}, "
        done += f"{verdict.exposures} exposures"
    attention = []
    if verdict.status != "ok" or verdict.reason:
        attention.append(f"{verdict.status}: {verdict.reason}")
    if png is None and verdict.curve:
        attention.append("the picture of the curve could not be kept")
    return Ending(
        done=(done, f"the stage stands at z {stands_um:+.2f} µm, the light is off"),
        assumed=("the instrument is SIMULATED",) if simulated else (),
        attention=tuple(attention),
        results=(("curve", png),) if png else (),
    )


def bars(points: Sequence[tuple[float, float]], *, width: int) -> list[str]:
    """Return a curve of (z, sharpness) as lines of text of some columns, the lowest z first."""
    top = max((value for _, value in points), default=0.0)
    room = max(1, width - LABEL)
    return [
        f"{z_um:+9.2f} µm {'#' * round(room * max(value, 0.0) / top) if top > 0 else ''}".rstrip()
        for z_um, value in sorted(points)
    ]
