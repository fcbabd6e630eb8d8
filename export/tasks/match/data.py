"""From a configuration and a folder of images to the pairs that a matcher learns from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from export.datasets.pairs.images import read_images
from export.datasets.pairs.made import MadeSource
from export.datasets.pairs.source import MixedSource, PairSource
from export.tasks.match.config import MatchConfig
from export.tasks.match.pairs import PairSamples
from runtime.errors import ConfigRefused

# Validation is the same for every seed, so that seeds can be compared.
VALIDATION_SEED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSplit:
    """Pairs to learn from and pairs to be judged on, whose images show other specimens, and the
    SHA-256 of all images.
    """

    train: PairSamples
    validation: PairSamples
    digest: str

    def of_shape(self, shape: tuple[int, int]) -> PairSplit:
        """Return pairs of the same specimens in strips of another (height, width)."""
        train, validation = (replace(one, shape=shape) for one in (self.train, self.validation))
        return replace(self, train=train, validation=validation)


def read_pairs(config: MatchConfig, folder: Path | None, *, seed: int) -> PairSplit:
    """Return the pairs of a configuration, its folders of images lying below `folder`.

    Raises ConfigRefused when it names folders and none was given, or one both to learn from and to
    be judged on; InputRefused naming a folder or an image that cannot be used.
    """
    data = config.data
    if folder is None and (data.train or data.validation):
        raise ConfigRefused(
            f"model {config.name} needs the folder of its images",
            limit=", ".join(map(str, (*data.train, *data.validation))),
            remedy="name the folder that holds them with --data",
        )
    base = folder or Path()
    learnt = {(base / one).resolve() for one in data.train}
    shared = [one for one in data.validation if (base / one).resolve() in learnt]
    if shared:
        raise ConfigRefused(
            "a specimen that is learnt from cannot judge",
            value=", ".join(map(str, shared)),
            remedy="name other folders under data.validation",
        )

    def samples(folders: Sequence[Path], count: int, number: int) -> PairSamples:
        source = _source([base / one for one in folders], data.textures)
        return PairSamples(source=source, count=count, shape=config.trained.shape, seed=number)

    return PairSplit(
        train=samples(data.train, data.pairs, seed),
        validation=samples(data.validation, data.validation_pairs, VALIDATION_SEED),
        digest=_digest(base / one for one in (*data.train, *data.validation)),
    )


def _source(folders: Sequence[Path], textures: float) -> PairSource:
    """Return made-up textures and the specimens of the folders, these in equal shares."""
    if not folders:
        return MadeSource()
    share = (1 - textures) / len(folders)
    specimens = [read_images(folder) for folder in folders]
    return MixedSource([MadeSource(), *specimens], [textures, *(share for _ in folders)])


def _digest(folders: Iterator[Path]) -> str:
    found = hashlib.sha256()
    for folder in folders:
        for file in sorted(one for one in folder.iterdir() if one.is_file()):
            found.update(file.name.encode() + hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()
