"""Names that others gave, as text that any terminal, editor or table can take."""

from __future__ import annotations

BEGIN_A_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""A spreadsheet runs a cell that begins so, in any width. An apostrophe before it makes it a text
(OWASP, CSV injection).
"""


def printable(name: str) -> str:
    """Return a text whose control characters, and bytes that are no text, are shown as escapes."""
    return "".join(one if one.isprintable() else _escaped(one) for one in name)


def cell(text: str) -> str:
    """Return a text for a cell of a table: `printable`, one line, and no formula to anybody.

    Backslashes are doubled, as is an apostrophe at the beginning: two names never share a cell.
    """
    shown = printable(text.replace("\\", "\\\\"))
    return f"'{shown}" if shown.lstrip().startswith((*BEGIN_A_FORMULA, "'")) else shown


def _escaped(one: str) -> str:
    code = ord(one)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8, as Python hands on file names
        return f"\\x{code - 0xDC00:02x}"
    return one.encode("unicode_escape").decode("ascii")
