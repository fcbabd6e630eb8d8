"""What one evaluation compares, on which data, and how its networks are trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.config.recipe import ClassifyRecipe
from export.config.training import TrainingConfig, read_config
from export.evaluate.methods import Cell, Stream, distinct_streams, paper_cells, restricted
from export.networks.registry import ARCHITECTURES
from runtime.errors import ConfigRefused
from runtime.preprocess.spec import PreprocessSpec

CONFIGS = Path(__file__).parent.parent / "configs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the command line may change; None leaves it as the configurations have it."""

    architectures: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    fusions: tuple[str, ...] = ()
    epochs: int | None = None
    image_px: int | None = None
    threads: int = 2
    int8: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """`config` says which data, classes and preprocessing; its paths are relative to `base`.

    `recipes`, and `imagenet`, the files of weights to start from, go by architecture.
    """

    config: TrainingConfig
    base: Path
    cells: tuple[Cell, ...]
    recipes: Mapping[str, ClassifyRecipe]
    imagenet: Mapping[str, Path]
    spec: PreprocessSpec
    threads: int
    int8: bool

    @property
    def folds(self) -> int:
        """Return how often a stream is trained without some specimens, for late fusion."""
        return self.config.fusion.folds

    @property
    def prior(self) -> NDArray[np.float64] | None:
        """Return how common each class is expected to be, or None for all alike."""
        prior = self.config.fusion.prior
        return None if prior is None else np.array(prior)

    def folded(self, stream: Stream) -> bool:
        """Return whether some late fusion hears this stream."""
        return any(cell.kind == "late" and stream in cell.streams for cell in self.cells)

    def recipe_of(self, stream: Stream) -> ClassifyRecipe:
        """Return how a stream is trained; the texture's has a recipe of its own beside it."""
        return self.recipes.get(stream.architecture) or next(iter(self.recipes.values()))

    def described(self) -> dict[str, str]:
        """Return the training in words, for the head of the table."""
        size = f"{self.spec.width_px} x {self.spec.height_px} px"
        cuts = f"{self.config.data.cuts} beside each view"
        recipes = {
            f"{name} recipe": _in_words(one, self.imagenet.get(name))
            for name, one in self.recipes.items()
        }
        return {
            "data": self.config.data.reader,
            "licence": self.config.licence,
            "input": size,
            "cuts": cuts,
            **recipes,
        }


def set_up(folder: Path | None, configs: Sequence[Path], choices: Choices) -> Setup:
    """Return what to evaluate on a folder of images.

    Every configuration lends the table its recipe for its architectures; data, classes and
    preprocessing must be the same in all, but for a size that the choices set. Without a
    configuration, the built-in one for the data in `folder` is taken. An architecture that no
    configuration trains gets the paper's recipe.
    Raises ConfigRefused when they do not fit together or nothing is left to evaluate.
    """
    paths = list(configs) or [_built_in(folder)]
    read = [_at_size(read_config(path), choices.image_px) for path in paths]
    for path, config in zip(paths, read, strict=True):
        _check_same(config, read[0], path, paths[0])
    recipes: dict[str, ClassifyRecipe] = {
        name: one.recipe for one in read for name in one.network.architectures
    }
    names = choices.architectures or tuple(recipes)
    _check_known(names)
    cells = _cells(names, read[0].network.texture, choices)
    return Setup(
        config=read[0],
        base=paths[0].parent,
        cells=tuple(cells),
        recipes={name: _recipe(recipes.get(name, ClassifyRecipe()), choices) for name in names},
        imagenet={
            name: path.parent / weights
            for path, one in zip(paths, read, strict=True)
            for name, weights in one.network.imagenet.items()
        },
        spec=_spec(read[0], cells),
        threads=choices.threads,
        int8=choices.int8,
    )


def _cells(names: Sequence[str], texture: str, choices: Choices) -> list[Cell]:
    cells = paper_cells(names, texture=texture)
    if choices.inputs:
        cells = restricted(cells, choices.inputs)
    if choices.fusions:
        cells = [cell for cell in cells if cell.kind in choices.fusions]
    if not cells:
        raise ConfigRefused(
            "nothing to evaluate",
            value=" ".join((*choices.inputs, *choices.fusions)),
            remedy="name inputs among intensity, lbp1, lbp2, lbp3, texture; fusions among none, "
            "early, mid, late",
        )
    return cells


def _built_in(folder: Path | None) -> Path:
    """Return the shipped configuration whose data set lies in this folder, judged by its files."""
    labels = None if folder is None else folder / "labels.csv"
    if folder is not None and (folder / "mitochondria").is_dir():
        return CONFIGS / "vnc_compact_late.toml"
    if labels is not None and labels.is_file():
        with labels.open(encoding="utf-8") as lines:
            if "sample_key" in lines.readline():
                return CONFIGS / "uhcs_compact_late.toml"
    raise ConfigRefused(
        "no configuration for these images",
        value=folder,
        limit="uhcs_sem or drosophila_vnc, known by their files",
        remedy="name one that says reader and classes with --configs",
    )


def _check_known(names: Sequence[str]) -> None:
    for name in names:
        if name not in ARCHITECTURES:
            raise ConfigRefused("unknown architecture", value=name, limit=", ".join(ARCHITECTURES))


def _check_same(config: TrainingConfig, first: TrainingConfig, path: Path, where: Path) -> None:
    for key in ("data", "classes", "preprocessing"):
        if getattr(config, key) != getattr(first, key):
            raise ConfigRefused(
                f"{path} and {where} differ in '{key}': they cannot share a table",
                remedy="evaluate them into two folders",
            )


def _recipe(recipe: ClassifyRecipe, choices: Choices) -> ClassifyRecipe:
    changed: dict[str, int] = {"threads": choices.threads}
    if choices.epochs is not None:
        changed["epochs"] = choices.epochs
    return recipe.model_copy(update=changed)


def _at_size(config: TrainingConfig, image_px: int | None) -> TrainingConfig:
    if image_px is None:
        return config
    size = {"height_px": image_px, "width_px": image_px}
    preprocessing = config.preprocessing.model_copy(update=size)
    return config.model_copy(update={"preprocessing": preprocessing})


def _spec(config: TrainingConfig, cells: Sequence[Cell]) -> PreprocessSpec:
    inputs = dict.fromkeys(stream.input_name for stream in distinct_streams(cells))
    return PreprocessSpec(inputs=tuple(inputs), **config.preprocessing.model_dump())


def _in_words(recipe: ClassifyRecipe, imagenet: Path | None) -> str:
    start = "from scratch" if imagenet is None else f"from {imagenet.name}"
    return (
        f"{start}, {recipe.epochs} epochs, {recipe.optimiser}, "
        f"learning rate {recipe.learning_rate:g} ({recipe.schedule}), "
        f"weight decay {recipe.weight_decay:g}, batch {recipe.batch}, "
        f"dihedral variants: {recipe.variants}"
    )
