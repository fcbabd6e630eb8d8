"""`nightscope notify test`: whether a message arrives, asked before a night needs one."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

from rich.console import Console

from runtime.appliance.messages.message import Message
from runtime.appliance.messages.sending import send
from runtime.cli.screen import show
from runtime.config.settings import load_settings
from runtime.errors import ConfigRefused
from runtime.record.run_folder import RunFolder
from runtime.report.ending import Ending


def test(*, settings: Path, run: Path | None, console: Console) -> dict[str, Any]:
    """Send a message to all targets of the settings; return which failed, with exit code 5 if any.

    Raises ConfigRefused where the settings name nobody.
    """
    section = load_settings(settings).messages
    if section.targets is None:
        raise ConfigRefused(
            f"{settings} names nobody to be told",
            remedy="give [messages] targets, a file of Apprise addresses",
        )
    message = Message(
        occasion="finished",
        title=f"Nightscope on {platform.node()}: a test",
        lines=("You get this because somebody ran `nightscope notify test`.",),
        picture=None if run is None else RunFolder(run).picture,
        link=section.link,
    )
    failed = send(message, section.targets)
    done = () if failed else (f"everybody in {section.targets} took the message",)
    ending = Ending(done=done, attention=failed)
    show(ending, console)
    return {"failed": list(failed), "exit_code": ending.exit_code}
