"""`nightscope model install | confirm | rollback | revoke`: what changes the device's models."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, cast

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from runtime.appliance.models.incoming import Expected
from runtime.appliance.models.install import Installed, already
from runtime.appliance.models.install import install as install_bundle
from runtime.appliance.models.keys import revoke_bundle
from runtime.appliance.models.patient_input import PatientInput
from runtime.appliance.models.trials import confirm as confirm_model
from runtime.appliance.models.trials import roll_back
from runtime.clock import SystemClock
from runtime.config.models_here import models_here, pixel_sizes_um
from runtime.errors import ModelRefused
from runtime.plain_file import opened
from runtime.report.wording import counted

STANDARD_INPUT = "-"


def install(
    *,
    bundle: str,
    settings: Path | None,
    sha256: str | None,
    size: int | None,
    again: bool,
    console: Console,
) -> dict[str, Any]:
    """Install a bundle from a file, or from standard input; return what `Installed` holds.

    With `sha256` and `size` the first line on standard output says, as JSON, how many bytes of it
    are here already ("have"); the stream then begins there.
    """
    models = models_here(settings)
    expected = None
    if sha256 is not None and size is not None:
        expected = Expected(sha256=sha256, size=size)
        have = already(expected, models)
        sys.stdout.write(json.dumps({"have": have}) + "\n")
        sys.stdout.flush()
    with _stream(bundle) as (stream, length), _bar(console, length) as bar:
        task = bar.add_task("receiving", total=length)

        def say(step: str) -> None:
            bar.update(task, description=step)
            if step != "receiving":
                console.print(f"{step} …", soft_wrap=True)

        done = install_bundle(
            stream,
            models=models,
            clock=SystemClock(),
            pixel_sizes_um=pixel_sizes_um(settings),
            expected=expected,
            again=again,
            called="on standard input" if bundle == STANDARD_INPUT else bundle,
            progress=lambda arrived: bar.update(task, completed=arrived),
            say=say,
        )
    for line in words(done):
        console.print(line, soft_wrap=True)
    return asdict(done)


def words(done: Installed) -> list[str]:
    """Return what was done, a sentence a line."""
    name = f"{done.name} {done.version}"
    if not done.changed:
        return [f"{name} is active already; nothing was changed"]
    before = "there was no version of it" if done.before is None else f"it was {done.before}"
    said = [
        f"{name} is active ({before}); it runs as {done.runs_as}, p99 {done.p99_ms:.1f} ms",
        f"on trial: it is confirmed after {counted(done.trial_tiles, 'good tile')}, "
        f"or by `nightscope model confirm {done.name}`",
    ]
    return [*said, f"not checked: {done.unchecked}"] if done.unchecked else said


@contextmanager
def _stream(bundle: str) -> Iterator[tuple[BinaryIO, int | None]]:
    """Yield what the bundle is read from, and how long that is where it is known."""
    if bundle == STANDARD_INPUT:
        yield cast("BinaryIO", PatientInput(sys.stdin.fileno())), None
        return
    with opened(Path(bundle), what="bundle", refuse=ModelRefused) as (file, length):
        yield file, length


def _bar(console: Console, length: int | None) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal or length is None,
    )


def confirm(*, name: str, settings: Path | None, console: Console) -> dict[str, Any]:
    """Confirm the model that is on trial; return its version."""
    version = confirm_model(models_here(settings), name)
    console.print(f"{name} {version} is confirmed: no older version comes any more", soft_wrap=True)
    return {"name": name, "version": version}


def rollback(*, name: str, settings: Path | None, console: Console) -> dict[str, Any]:
    """Go back to the version before; return both versions."""
    gone, now = roll_back(models_here(settings), name, reason="by hand")
    told = f"{now} is active again" if now else "none of it is active any more"
    console.print(f"{name} {gone} was rolled back; {told}", soft_wrap=True)
    return {"name": name, "rolled_back": gone, "version": now}


def revoke(*, bundle: str, reason: str, settings: Path | None, console: Console) -> dict[str, Any]:
    """Believe a bundle no more; return the digest of its manifest."""
    digest = revoke_bundle(bundle, models=models_here(settings), reason=reason)
    console.print(
        f"revoked {digest[:16]}: it is not opened any more, and does not come again", soft_wrap=True
    )
    return {"digest": digest}
