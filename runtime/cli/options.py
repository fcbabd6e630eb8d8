"""The options that several verbs share, in one wording."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from runtime.cli.call import load


def _driver(name: str) -> str:
    """Return the name of a brand of boards, or "auto"; refuse others, naming those there are."""
    # Read here, not on import, so that no other verb loads the drivers.
    known = ("auto", *load("firmware_bridge.drivers.registry:names")())
    if name not in known:
        raise typer.BadParameter(f"'{name}' is not one of {', '.join(known)}")
    return name


def positive(number: float | None) -> float | None:
    """Return a number that an option was given; refuse what is not above 0, or is no number."""
    if number is not None and not 0 < number < math.inf:
        raise typer.BadParameter(f"{number} is no number above 0")
    return number


def step(number: float | None) -> float | None:
    """Return a step either way; refuse one that leads nowhere, or is no number."""
    if number is not None:
        positive(abs(number))
    return number


def moment(text: str) -> datetime:
    """Return the time that an option was given, of this clock; refuse what is none, or not of this
    century's nights.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"'{text}' is no time: write 2026-12-01T22:00:00") from None
    if not 2025 <= at.year < 2099:
        raise typer.BadParameter(f"'{text}' is no time of a night: 2025 to 2099")
    return at


AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object as the last line of output.")
]
Flip = Annotated[
    bool, typer.Option("--flip", help="Files keep their lowest row first, as MRC may.")
]
OriginHere = Annotated[
    bool,
    typer.Option(
        "--origin-here", help="A stage without switches was brought to its origin by hand."
    ),
]
Pattern = Annotated[
    str | None, typer.Option(metavar="NAME", help='File names, as "r{row}_c{col}.png".')
]
Overlap = Annotated[
    float | None, typer.Option(metavar="F", help="Overlap as a fraction, with --pattern.")
]
Watch = Annotated[bool, typer.Option("--watch", help="Stitch a folder that is still being filled.")]
Fix = Annotated[
    bool, typer.Option("--fix", help="Mend positions that the pictures contradict, and say how.")
]
Judge = Annotated[
    bool, typer.Option("--report", help="Judge the map by its own pictures; write report.html.")
]
Frame = Annotated[
    str | None,
    typer.Option(metavar="CHANNEL@Z", help="Frame to read of OME-TIFF files of several."),
]
Out = Annotated[Path, typer.Option(metavar="DIR", help="Folder to write to.")]
FocusMap = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Focus to begin with, by `focus map`.")
]
Positions = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Places by Fiji, MIST, Micro-Manager, SerialEM.")
]
Driver = Annotated[
    str,
    typer.Option(
        parser=_driver,
        metavar="DRIVER",
        help="Brand of the board, or auto to ask it; any other word lists the brands.",
    ),
]
Port = Annotated[
    str,
    typer.Option(
        metavar="PORT", help="Serial port; or serial:NUMBER, id:NAME, auto for the only board."
    ),
]
SettingsFile = Annotated[
    Path,
    typer.Option(
        metavar="FILE", envvar="NIGHTSCOPE_SETTINGS", help="The instrument's settings, TOML."
    ),
]
OwnSettings = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        envvar="NIGHTSCOPE_SETTINGS",
        help="The instrument's settings, TOML, whose models and keys are used.",
    ),
]
Reason = Annotated[str, typer.Option(metavar="WORDS", help="Why, for whoever asks later.")]
HERE = "http://127.0.0.1:8470"
"""Where a service listens that nobody told otherwise."""
ServiceUrl = Annotated[
    str,
    typer.Option(metavar="URL", envvar="NIGHTSCOPE_URL", help="Where `nightscope serve` listens."),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="A file with the token, if not NIGHTSCOPE_TOKEN."),
]
Authority = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Certificates to trust beside the system's, PEM."),
]

MatcherName = Annotated[
    Literal["auto", "phase", "sift", "loftr"], typer.Option(help="How overlaps match.")
]
Network = Annotated[
    str | None, typer.Option(metavar="BUNDLE", help="Model to ask where no other is sure; or none.")
]
StageSigma = Annotated[
    float | None,
    typer.Option(metavar="S", callback=positive, help="How far positions may be off, px."),
]
PixelSize = Annotated[
    float | None,
    typer.Option(metavar="UM", callback=positive, help="Pixel size of the images, µm."),
]
Quiet = Annotated[
    float,
    typer.Option(
        metavar="S", min=1.0, callback=positive, help="With --watch: end when nothing came for S."
    ),
]
