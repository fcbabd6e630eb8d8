"""From a configuration and a folder of images to the pairs that a matcher learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from export.datasets.pairs.specimens import Folders
from export.tasks.match.config import MatchConfig
from export.tasks.match.pairs import PairSamples

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
    folders = Folders.below(
        folder,
        train=data.train,
        validation=data.validation,
        textures=data.textures,
        model=config.name,
    )

    def samples(named: Sequence[Path], count: int, number: int) -> PairSamples:
        source = folders.source(named)
        return PairSamples(source=source, count=count, shape=config.trained.shape, seed=number)

    return PairSplit(
        train=samples(folders.train, data.pairs, seed),
        validation=samples(folders.validation, data.validation_pairs, VALIDATION_SEED),
        digest=folders.digest,
    )
