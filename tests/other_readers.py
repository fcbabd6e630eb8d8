"""How programs that are not ours see a map: one checks it against the standard, one reads it."""

from pathlib import Path
from typing import Any


def read_by_others(path: Path) -> Any:
    """Return a valid OME-Zarr image as `ome_zarr` reads it: its `data`, level by level, and so on.

    Both libraries bring a second or two of others along, so they come up only where they are used.
    """
    import yaozarrs
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    yaozarrs.validate_zarr_store(str(path))
    (node,) = Reader(parse_url(str(path)))()
    return node
