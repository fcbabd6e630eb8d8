"""Which of a file's pages is to be read, where it holds the frames of one tile: OME-TIFF stacks.

A night with channels and heights keeps all frames of a tile in one file, the one that its plan
names as the first page (`runtime.record.tile_file`): of such a file that one is read unless
another is named. Files of other programs name none, so someone has to.
Specification: https://docs.openmicroscopy.org/ome-model/6.3.1/ome-tiff/specification.html.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from runtime.errors import ConfigRefused, InputRefused
from runtime.instrument.camera.stored import several

OURS = "nightscope"
MOST_XML = 2**22
"""Characters of a description: ten thousand planes and more."""

MOST_PLANES = 2**16
SHOWN = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameChoice:
    """Which frame of a tile is read: by the name of its channel, and by its place in z from 0 up,
    as OME counts them; None is that of the frame that the file itself names.
    """

    channel: str | None = None
    z_index: int | None = None

    @classmethod
    def read(cls, text: str | None) -> FrameChoice:
        """Return what "CHANNEL", "CHANNEL@Z" or "@Z" says; None chooses nothing.

        Raises ConfigRefused for a z that is no number from 0 up.
        """
        channel, at, z = (text or "").rpartition("@")
        if not at:
            return cls(channel=text or None)
        if not (z.isascii() and z.isdecimal()):
            raise ConfigRefused(
                "--frame names a height that is none",
                value=text,
                limit="CHANNEL@Z, Z counted from 0",
                remedy="write, for instance, led_left@2",
            )
        return cls(channel=channel or None, z_index=int(z))

    def __bool__(self) -> bool:
        """Return whether anything is chosen."""
        return self.channel is not None or self.z_index is not None

    @property
    def words(self) -> str:
        """Return what is chosen."""
        parts = [] if self.channel is None else [f"channel {self.channel[:40]}"]
        return ", ".join(parts + ([] if self.z_index is None else [f"z {self.z_index}"]))


AS_NAMED = FrameChoice()


@dataclass(frozen=True, slots=True, kw_only=True)
class OmeFrame:
    """One frame of a file: its page, its channel by name and number, and its place in z."""

    page: int
    channel: str
    channel_index: int
    z_index: int

    @property
    def words(self) -> str:
        """Return which it is."""
        return f"{self.channel[:40]} at z {self.z_index}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OmeFrames:
    """The frames of one file. `named`: its first page is the one that was meant to be read."""

    frames: tuple[OmeFrame, ...]
    named: bool

    def chosen(self, path: Path, choice: FrameChoice) -> OmeFrame:
        """Return the frame to be read.

        Raises InputRefused, which lists them, where none or several are as chosen.
        """
        first = next((frame for frame in self.frames if frame.page == 0), None)
        if not choice:
            if not self.named or first is None:
                raise several(
                    path,
                    f"{len(self.frames)} ({self._listed()})",
                    remedy="name one with --frame CHANNEL@Z, or save one picture a file",
                )
            return first
        left = [
            frame
            for frame in self.frames
            if choice.channel in (None, frame.channel) and choice.z_index in (None, frame.z_index)
        ]
        if len(left) > 1 and self.named and first is not None:
            # What is not chosen is as in the frame that the file names.
            left = [f for f in left if f.channel == first.channel or choice.channel is not None]
            left = [f for f in left if f.z_index == first.z_index or choice.z_index is not None]
        if len(left) == 1:
            return left[0]
        raise InputRefused(
            f"{path}: holds {len(left) or 'no'} such frame{'s' if left else ''}",
            value=choice.words,
            limit=self._listed(),
            remedy="name one with --frame CHANNEL@Z",
        )

    def _listed(self) -> str:
        more = len(self.frames) - SHOWN
        ordered = sorted(self.frames, key=lambda frame: frame.page)
        shown = ", ".join(frame.words for frame in ordered[:SHOWN])
        return shown + (f" and {more} more" if more > 0 else "")


def frames_of(path: Path, description: str, *, pages: int) -> OmeFrames | None:
    """Return the frames that the first page's OME-XML tells of a file of so many pages; None where
    it tells none.

    Raises InputRefused for XML that names pages or frames twice, or pages that are not there, for
    several times, and for a file that is one of a set.
    """
    root = ome_root(description)
    if root is None:
        return None
    frames: list[OmeFrame] = []
    try:
        for pixels in root.iter():
            if element_name(pixels) == "Pixels":
                frames += _frames(path, pixels, pages)
    except ValueError:
        raise _contradicted(path, "a number that is none") from None
    if not frames:
        return None
    told = [frame.page for frame in frames]
    if len(set(told)) < len(told) or not all(0 <= page < pages for page in told):
        raise _contradicted(path, f"{len(told)} frames on pages {min(told)} to {max(told)}")
    return OmeFrames(frames=tuple(frames), named=root.get("Creator") == OURS)


def ome_root(description: str) -> ElementTree.Element | None:
    """Return the root of a description that is OME-XML; None for any other."""
    if len(description) > MOST_XML or "<OME" not in description or "<!DOCTYPE" in description:
        return None
    try:
        return ElementTree.fromstring(description)
    except ElementTree.ParseError:
        return None


def element_name(element: ElementTree.Element) -> str:
    """Return an element's name without its namespace."""
    return element.tag.rpartition("}")[2]


def _frames(path: Path, pixels: ElementTree.Element, pages: int) -> Iterator[OmeFrame]:
    sizes = {axis: int(pixels.get(f"Size{axis}", "1")) for axis in "ZCT"}
    if sizes["T"] != 1:
        raise several(path, f"{sizes['T']} times", remedy="save one time a file")
    count = sizes["Z"] * sizes["C"]
    if not 0 < count <= min(MOST_PLANES, pages):
        raise _contradicted(path, f"{count} frames on {pages} pages")
    channels = [
        str(child.get("Name") or number)
        for number, child in enumerate(c for c in pixels if element_name(c) == "Channel")
    ]
    z_first = pixels.get("DimensionOrder", "XYZCT").index("Z") < pixels.get(
        "DimensionOrder", "XYZCT"
    ).index("C")
    for data in (child for child in pixels if element_name(child) == "TiffData"):
        if any(element_name(child) == "UUID" and child.get("FileName") for child in data):
            named = next(child.get("FileName") for child in data if element_name(child) == "UUID")
            if Path(str(named)).name != path.name:
                raise several(path, "a set of files", remedy="save each picture as its own file")
        page = int(data.get("IFD", "0"))
        planes = int(data.get("PlaneCount", "1" if "IFD" in data.attrib else str(count)))
        z, c = int(data.get("FirstZ", "0")), int(data.get("FirstC", "0"))
        start = z + c * sizes["Z"] if z_first else c + z * sizes["C"]
        if not (z >= 0 and c >= 0 and planes > 0 and start + planes <= count):
            raise _contradicted(path, f"frame {start + planes} of {count}")
        for number in range(planes):
            at = start + number
            c_at, z_at = divmod(at, sizes["Z"]) if z_first else divmod(at, sizes["C"])[::-1]
            name = channels[c_at] if c_at < len(channels) else str(c_at)
            yield OmeFrame(page=page + number, channel=name, channel_index=c_at, z_index=z_at)


def _contradicted(path: Path, told: str) -> InputRefused:
    return InputRefused(
        f"{path}: its OME-XML contradicts its pages",
        value=told,
        remedy="save it again, or one picture a file",
    )
