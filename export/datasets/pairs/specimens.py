"""The specimens that a configuration names, a folder of images each, and textures made up."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from export.datasets.pairs.images import read_images
from export.datasets.pairs.made import MadeSource
from export.datasets.pairs.source import MixedSource, PairSource
from runtime.errors import ConfigRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """Folders of images to learn from and to be judged on, and the share of made-up textures."""

    train: tuple[Path, ...]
    validation: tuple[Path, ...]
    textures: float

    @classmethod
    def below(
        cls,
        folder: Path | None,
        *,
        train: Sequence[Path],
        validation: Sequence[Path],
        textures: float,
        model: str,
    ) -> Folders:
        """Return the named folders below the one given as data.

        Raises ConfigRefused when some are named and none was given, or when one is both to learn
        from and to be judged on.
        """
        if folder is None and (train or validation):
            raise ConfigRefused(
                f"model {model} needs the folder of its images",
                limit=", ".join(map(str, (*train, *validation))),
                remedy="name the folder that holds them with --data",
            )
        base = folder or Path()
        learnt = {(base / one).resolve() for one in train}
        shared = [one for one in validation if (base / one).resolve() in learnt]
        if shared:
            raise ConfigRefused(
                "a specimen that is learnt from cannot judge",
                value=", ".join(map(str, shared)),
                remedy="name other folders under data.validation",
            )
        return cls(
            train=tuple(base / one for one in train),
            validation=tuple(base / one for one in validation),
            textures=textures,
        )

    def source(self, folders: Sequence[Path]) -> PairSource:
        """Return made-up textures and the specimens of the folders, these in equal shares.

        Raises InputRefused naming a folder or an image that cannot be used.
        """
        if not folders:
            return MadeSource()
        share = (1 - self.textures) / len(folders)
        specimens = [read_images(folder) for folder in folders]
        shares = [self.textures, *(share for _ in folders)]
        return MixedSource([MadeSource(), *specimens], shares)

    @property
    def digest(self) -> str:
        """Return the SHA-256 of all images and their names."""
        return _digest((*self.train, *self.validation))


def _digest(folders: Iterable[Path]) -> str:
    found = hashlib.sha256()
    for folder in folders:
        for file in sorted(one for one in folder.iterdir() if one.is_file()):
            found.update(file.name.encode() + hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()
