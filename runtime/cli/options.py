"""The options that several verbs share, in one wording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object as the last line of output.")
]
Out = Annotated[Path, typer.Option(metavar="DIR", help="Folder to write to.")]
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
