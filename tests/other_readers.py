"""How programs that are not ours see what we write: some check it by the standard, some read it.

The libraries bring a second or two of others along, so they come up only where they are used.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def read_by_others(path: Path) -> Any:
    """Return a valid OME-Zarr image as `ome_zarr` reads it: its `data`, level by level, and so on.

    The image comes first; its labels follow it as nodes of their own.
    """
    return nodes_by_others(path)[0]


def nodes_by_others(path: Path) -> list[Any]:
    """Return all that `ome_zarr` finds in a valid OME-Zarr image, its labels included."""
    import yaozarrs
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    yaozarrs.validate_zarr_store(str(path))
    return list(Reader(parse_url(str(path)))())


def valid_ome(text: str) -> None:
    """Raise lxml's DocumentInvalid for OME-XML that the OME schema of 2016-06 does not accept."""
    from lxml import etree

    _schema().assertValid(etree.fromstring(text.encode()))


@cache
def _schema() -> Any:
    """Return the schema that comes with `ome_types`, which need not be loaded for it."""
    from lxml import etree

    found = find_spec("ome_types")
    assert found is not None
    assert found.origin is not None
    return etree.XMLSchema(etree.parse(Path(found.origin).with_name("ome-2016-06.xsd")))
