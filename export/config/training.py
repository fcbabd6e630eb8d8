"""A training configuration: one TOML file says which data, networks, fusion, recipe and name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from export.config.data import DataConfig
from export.config.recipe import ClassifyRecipe
from export.config.table import read_table
from runtime.config.strict import Strict
from runtime.inference.manifest import Name
from runtime.preprocess.spec import MOST_CELLS, MOST_POINTS, TEXTURE, PreprocessSpec, input_parts

Architecture = Literal["compact", "resnet50", "vgg16_bn"]
Micrometres = Annotated[float, Field(gt=0)]


class NetworkConfig(Strict):
    """One architecture for every stream, or several: an ensemble, each on every input.

    `imagenet` names a file of weights to start from for each architecture; relative to the
    configuration. The input "texture" has networks of its own: `texture` says which, a linear
    machine or 1x1 over the cells, or "best", the one that finds the validation images likelier.
    """

    architectures: Annotated[tuple[Architecture, ...], Field(min_length=1)]
    imagenet: dict[Architecture, Path] = {}
    texture: Literal["best", "texture-linear", "texture-cells"] = "best"


class FusionConfig(Strict):
    """How streams join, and what each of them sees.

    "none": one input. "early": one input of joined parts. "mid" and "late": two streams or more.
    Late fusion is fitted on votes for specimens that a stream was not trained on: every stream is
    trained `folds` times more, each time without a part of the training specimens (0: on the votes
    for the validation specimens alone). `prior` says how common each class is where the model will
    work, in the order of the classes; without it all are expected alike.
    """

    kind: Literal["none", "early", "mid", "late"]
    inputs: Annotated[tuple[str, ...], Field(min_length=1)]
    folds: Annotated[int, Field(ge=0, le=20)] = 3
    prior: tuple[Annotated[float, Field(gt=0, lt=1)], ...] | None = None

    @field_validator("inputs")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            input_parts(name)
        if len(set(names)) < len(names):
            raise ValueError("each input once")
        return names


class PreprocessConfig(Strict):
    """Size and scale of the networks' inputs, and the grid of the texture; see `PreprocessSpec`."""

    height_px: Annotated[int, Field(ge=32, le=2048)] = 224
    width_px: Annotated[int, Field(ge=32, le=2048)] = 224
    bright_percentile: int = 90
    dark_percentile: int = 5
    contrast_floor: Annotated[float, Field(gt=0)] = 0.25
    intensity: Literal["means", "nearest"] = "means"
    texture_cells: Annotated[int, Field(ge=1, le=MOST_CELLS)] = 8
    texture_points: Annotated[int, Field(ge=1, le=MOST_POINTS)] = 2**19
    texture_dither: Annotated[float, Field(ge=0, le=1)] = 0.005


class TrainingConfig(Strict):
    """Everything that decides a model but the seed and the images.

    `pixel_size_um` is the range the model is for, or "from-data": what the images span.
    """

    task: Literal["classify"] = "classify"
    name: Name
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
    classes: Annotated[tuple[str, ...], Field(min_length=2)]
    pixel_size_um: tuple[Micrometres, Micrometres] | Literal["from-data"] = "from-data"
    licence: str
    data: DataConfig
    network: NetworkConfig
    fusion: FusionConfig
    preprocessing: PreprocessConfig = PreprocessConfig()
    recipe: ClassifyRecipe = ClassifyRecipe()
    budgets_ms: dict[str, float] = {}

    @model_validator(mode="after")
    def _streams_fit_the_fusion(self) -> Self:
        streams = len(self.streams)
        kind, several = self.fusion.kind, self.fusion.kind in ("mid", "late")
        if several and streams < 2:
            raise ValueError(f"{kind} fusion joins streams; give two inputs or architectures")
        if not several and streams > 1:
            raise ValueError(f"fusion '{kind}' has one stream, not {streams}")
        if kind == "early" and len(input_parts(self.fusion.inputs[0])) < 2:
            raise ValueError("early fusion has one input of joined parts: 'intensity+lbp1'")
        prior = self.fusion.prior
        if prior is not None and (len(prior) != len(self.classes) or abs(sum(prior) - 1) > 1e-6):
            raise ValueError(f"prior {prior} is not a share for each class that add up to 1")
        self.spec()
        return self

    @property
    def streams(self) -> tuple[tuple[str, str], ...]:
        """Return (architecture, input) of every stream, architectures first; that of the texture is
        `network.texture`.
        """
        named = [
            (self.network.texture if name == TEXTURE else architecture, name)
            for architecture in self.network.architectures
            for name in self.fusion.inputs
        ]
        return tuple(dict.fromkeys(named))

    @property
    def turned_texture(self) -> bool:
        """Return whether a network may learn from the texture of turned views and of cuts."""
        return self.network.texture != "texture-linear"

    def spec(self) -> PreprocessSpec:
        """Return the preprocessing the streams share."""
        return PreprocessSpec(inputs=self.fusion.inputs, **self.preprocessing.model_dump())


def read_config(path: Path) -> TrainingConfig:
    """Return the configuration; raises ConfigRefused naming the file and the key at fault."""
    return TrainingConfig.read(read_table(path), source=path)
