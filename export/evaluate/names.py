"""What tables and pictures call an image: its path without the folders that all images share."""

from __future__ import annotations

import os
from dataclasses import dataclass

from export.datasets.labelled import LabelledImages
from export.datasets.reading import Data
from runtime.errors import InputRefused
from runtime.tile import Pixels


@dataclass(frozen=True, slots=True)
class Names:
    """Short names of the images of some data."""

    data: Data

    def of(self, images: LabelledImages) -> tuple[str, ...]:
        """Return the short names of one part, in its order."""
        return tuple(name.removeprefix(self._shared) for name in images.names.tolist())

    def load(self, name: str) -> Pixels:
        """Return the pixels of the image with that short name, whichever part it is in."""
        for images in self._parts:
            found = (images.names == self._shared + name).nonzero()[0]
            if len(found):
                return images.load(int(found[0]))
        raise InputRefused("no such image", value=name, remedy="evaluate into a fresh folder")

    @property
    def _parts(self) -> tuple[LabelledImages, ...]:
        return self.data.parts.train, self.data.parts.validation, self.data.parts.test

    @property
    def _shared(self) -> str:
        every = [name for images in self._parts for name in images.names.tolist()]
        # Cut back to a folder below; names of patches are no paths.
        prefix = os.path.commonprefix(every)  # noqa: RUF071
        return str(prefix[: prefix.rfind("/") + 1])
