"""From a configuration and a folder of images to the fields that a network learns defocus from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from export.datasets.defocus.stack import Scenery
from export.datasets.pairs.specimens import Folders
from export.tasks.focus.config import FocusConfig
from export.tasks.focus.samples import FieldSamples

# Validation is the same for every seed, so that seeds can be compared.
VALIDATION_SEED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldSplit:
    """Fields to learn from and fields to be judged on, of other specimens, and the SHA-256 of all
    images.
    """

    train: FieldSamples
    validation: FieldSamples
    digest: str


def read_fields(config: FocusConfig, folder: Path | None, *, seed: int) -> FieldSplit:
    """Return the fields of a configuration, its folders of images lying below `folder`.

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

    def samples(named: Sequence[Path], count: int, number: int) -> FieldSamples:
        return FieldSamples(
            scenery=Scenery(source=folders.source(named), optics=config.optics),
            count=count,
            side_px=config.side_px,
            planes=data.planes,
            parts=config.inputs,
            sparse=data.sparse,
            beyond=data.beyond,
            seed=number,
        )

    return FieldSplit(
        train=samples(folders.train, data.fields, seed),
        validation=samples(folders.validation, data.validation_fields, VALIDATION_SEED),
        digest=folders.digest,
    )
