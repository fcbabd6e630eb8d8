"""A z-stack in one file: a TIFF whose pages are the planes of one field."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import tifffile
from numpy.typing import NDArray

from runtime.errors import InputRefused
from runtime.instrument.camera.files import TIFF_BEGIN, real
from runtime.instrument.camera.stored import DAMAGED, LARGEST_PX, MOST_FILE_BYTES, damaged
from runtime.instrument.camera.tiff_file import page_stored
from runtime.instrument.camera.z_planes import Heights, ZPlane, planes_of
from runtime.plain_file import read_plain


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ZStack:
    """The planes of a file in the order of z, and where they lie."""

    path: Path
    content: bytes
    planes: tuple[ZPlane, ...]
    heights: Heights

    def values(self, plane: ZPlane) -> NDArray[Any]:
        """Return a plane as it is to be seen, (y, x), of any real type and finite.

        Raises InputRefused, naming file and page, for a page that is damaged or in colour.
        """
        path = self.path / f"page {plane.page}"
        try:
            with tifffile.TiffFile(BytesIO(self.content)) as file:
                page: Any = file.pages[plane.page]
                if page.size > LARGEST_PX or page.imagedepth > 1:
                    raise damaged(path, f"its header promises {page.size} pixels")
                return real(page_stored(path, page, self.content).grey(path), path)
        except DAMAGED as error:
            raise damaged(path, error) from None


def read_z_stack(path: Path, *, channel: str | None = None) -> ZStack:
    """Return the planes of a file, of a channel where it holds several; nothing is decoded yet.

    Raises InputRefused for a file that is no TIFF or damaged, of several channels of which none is
    chosen, of several fields or times, and for one whose pictures share a page.
    """
    content = read_plain(path, what="stack", most_bytes=MOST_FILE_BYTES, refuse=InputRefused)
    if not content.startswith(TIFF_BEGIN):
        raise InputRefused(
            f"{path}: is no TIFF",
            limit="a folder in which every plane is a file, or one TIFF of many pages",
            remedy="save the stack as OME-TIFF, or each plane as its own file",
        )
    try:
        with tifffile.TiffFile(BytesIO(content)) as file:
            planes, heights = planes_of(path, file, channel)
    except DAMAGED as error:
        raise damaged(path, error) from None
    return ZStack(path=path, content=content, planes=planes, heights=heights)
