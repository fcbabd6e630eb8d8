"""Every command line that a document shows is one that the command line takes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from export.__main__ import app as export_app
from runtime.cli.verbs import app

# Typer brings a Click of its own, whose classes have no public name.
UsageError: type[Exception] = typer.BadParameter.mro()[1]
ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCED = re.compile(r"^```(?:sh|console|bash)?\n(.*?)^```", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`(nightscope [^`]+)`")
LEFT_TO_THE_SHELL = re.compile(r"[<>]\s*\S+")
VARIABLE = re.compile(r"\$\w+")
# "nightscope model (list|verify)", "nightscope bridge …": the shape of lines, and none.
SHAPE = re.compile(r"[…()|]|\.\.\.$|\bVERB\b")


def lines(text: str) -> Iterator[tuple[str, bool]]:
    """Yield what a page tells to type, without comments and with lines that go on joined; and
    whether a sentence speaks of it.
    """
    for block in FENCED.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            yield from ((one, False) for one in re.findall(r"(?:^|; do )(nightscope [^;#]*)", line))
    inline = INLINE.findall(FENCED.sub("", text))
    yield from ((" ".join(one.split()), True) for one in inline if not SHAPE.search(one))


def taken(line: str, *, spoken: bool = False) -> None:
    """Parse a line, and run nothing. Raises UsageError, or KeyError for an unknown verb.

    One that is `spoken` of in a sentence may be a verb alone.
    """
    words = shlex.split(VARIABLE.sub("1", LEFT_TO_THE_SHELL.sub("", line)))[1:]
    command: Any = typer.main.get_command(app)
    if words[:1] == ["export"]:
        command, words = typer.main.get_command(export_app), words[1:]
    name = "nightscope"
    while hasattr(command, "commands"):
        if not words or words[0].startswith("-"):
            return
        name, command, words = words[0], command.commands[words[0]], words[1:]
    if words or not spoken:
        command.make_context(name, words)


def test_every_command_line_in_a_document_is_taken() -> None:
    found = [(page.name, *one) for page in PAGES for one in lines(page.read_text("utf-8"))]
    assert len(found) > 200
    refused = []
    for page, line, spoken in found:
        try:
            taken(line, spoken=spoken)
        except (UsageError, KeyError) as error:
            refused.append(f"{page}: {line}: {error}")
        except typer.Exit:
            pass  # --help and --version say theirs, and that is all
    assert refused == []


@pytest.mark.parametrize(
    "line",
    [
        "nightscope stich tiles",
        "nightscope stitch",
        "nightscope stitch tiles --overlaps 0.1",
        "nightscope focus run --range-um far",
        "nightscope model verfy mussel-tissue",
        "nightscope export train --config a.toml",
    ],
)
def test_a_line_that_is_none_is_found_out(line: str) -> None:
    with pytest.raises((UsageError, KeyError)):
        taken(line)
