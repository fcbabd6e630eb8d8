"""Links to files beside the page: relative, so that they hold wherever the folder is copied to."""

from __future__ import annotations

import os
from pathlib import PurePath
from urllib.parse import quote_from_bytes


def link_to(file: PurePath | str, *, folder: bool = False) -> str:
    """Return the link to a file, or a folder, by its path from the page's own folder.

    Every byte of a name that a browser would read as something else is escaped: "#", "?", "%", a
    colon, and what is no text.
    """
    path = quote_from_bytes(os.fsencode(file), safe="/")
    return f"{path}/" if folder else path
