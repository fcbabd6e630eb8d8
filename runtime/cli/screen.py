"""The one screen a verb ends with: any width, any encoding, any file name, with a terminal or not.

Rich is not asked to print it: it breaks paths, raises where an encoding lacks a sign, and hands
control characters of file names to the terminal.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from rich.console import Console

from runtime.report.ending import Ending, Sentences
from runtime.report.printable import printable

SECTIONS = (
    ("Done", "done"),
    ("Assumed", "assumed"),
    ("Left out", "left_out"),
    ("Needs attention", "attention"),
)
WIDEST, NARROWEST = 88, 20
"""Columns: longer lines are hard to read, and shorter ones than that are no screen."""
SCREEN_LINES = 24
ROOM = ((99, 9), (12, 3), (12, 2), (12, 1), (4, 2), (4, 1), (3, 1))
"""Sentences of a section and lines of a sentence: the first are taken that fit on a screen."""
INDENT, HANGING = "  ", "    "
# What a sentence may hold that ASCII lacks; anything else is escaped.
IN_ASCII = str.maketrans(
    {
        "µ": "u", "±": "+-", "×": "x", "–": "-", "−": "-", "°": " deg", "σ": "sigma", "≤": "<=",
        "≥": ">=", "…": "...", "²": "^2",
    }
)  # fmt: skip


def show(ending: Ending, console: Console) -> None:
    """Write an ending to the console's stream, wrapped to its width; paths stay in one piece."""
    stream = console.file
    for line in lines(ending, width=console.width):
        stream.write(plain(line, getattr(stream, "encoding", None)) + "\n")
    stream.flush()


def lines(ending: Ending, *, width: int) -> list[str]:
    """Return the lines of the screen: each section is there, if only to say that it is empty.

    What there is no room for is cut, or counted.
    """
    width = min(max(width, NARROWEST), WIDEST)
    found: list[str] = []
    for sentences, each in ROOM:
        found = [
            line
            for title, name in SECTIONS
            for line in _section(title, getattr(ending, name), width, (sentences, each))
        ]
        found += _results(ending)
        if len(found) <= SCREEN_LINES:
            break
    return found


def plain(text: str, encoding: str | None) -> str:
    """Return a text as a stream of that encoding (None takes all) can take it: signs of ours in
    words, what else it lacks escaped.
    """
    if encoding is None:
        return text
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(IN_ASCII).encode(encoding, "backslashreplace").decode(encoding)
    return text


def _section(title: str, sentences: Sentences, width: int, room: tuple[int, int]) -> Iterator[str]:
    if not sentences:
        yield f"{title}: nothing"
        return
    yield title
    most, each = room
    shown = list(sentences)
    if len(shown) > most:
        shown = [*shown[: most - 1], f"and {len(shown) - most + 1} more: --json has them all"]
    for sentence in shown:
        yield from textwrap.wrap(
            printable(sentence),
            width,
            initial_indent=INDENT,
            subsequent_indent=HANGING,
            max_lines=each,
            break_on_hyphens=False,  # in names of files and options
            placeholder=" …",
        )


def _results(ending: Ending) -> list[str]:
    """Return where the results lie; a path is never broken, so that it can be copied."""
    if not ending.results:
        return ["Results: no file was written"]
    return ["Results", *(f"{INDENT}{what}: {printable(str(at))}" for what, at in ending.results)]
