"""What a bundle says of itself: the manifest, read strictly."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from runtime.config.strict import Strict
from runtime.errors import ModelRefused
from runtime.preprocess.spec import PreprocessSpec

Precision = Literal["int8", "fp32"]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.\-]{0,63}$")]


class FileEntry(Strict):
    """Size and SHA-256 of one file in the bundle."""

    size: Annotated[int, Field(ge=0)]
    sha256: Digest


class FieldOfView(Strict):
    """Height and width of the specimen that one input shows, micrometres."""

    height_um: Annotated[float, Field(gt=0)]
    width_um: Annotated[float, Field(gt=0)]

    def sides_px(self, *, pixel_size_um: float) -> tuple[float, float]:
        """Return height and width in pixels of that size."""
        return self.height_um / pixel_size_um, self.width_um / pixel_size_um


class FieldInPixels(Strict):
    """Height and width of what one input shows, in pixels of whatever size: for a model trained
    on images of many magnifications.
    """

    height_px: Annotated[int, Field(ge=1)]
    width_px: Annotated[int, Field(ge=1)]

    def sides_px(self, *, pixel_size_um: float) -> tuple[float, float]:  # noqa: ARG002
        """Return height and width; the pixel size has no part in it."""
        return float(self.height_px), float(self.width_px)


class GoldenTile(Strict):
    """A tile with the SHA-256 of each input made from it and the scores it must get.

    An input's digest is over its float32 little-endian bytes; `scores` holds one list, in the
    order of the classes, for each precision.
    """

    file: str
    inputs: dict[str, Digest]
    scores: dict[Precision, tuple[float, ...]]


class OpenVinoFiles(Strict):
    """One precision in OpenVINO's own format: the graph and its weights."""

    xml: str
    bin: str


class Quantisation(Strict):
    """How int8 came about: layers left in fp32, accuracy on the validation images, and how far int8
    was allowed to fall below fp32 there.
    """

    kept_fp32: tuple[str, ...]
    accuracy: dict[Precision, float]
    gate: Annotated[float, Field(ge=0)]


class Training(Strict):
    """Where the model comes from, for the card and for the report."""

    data: str
    licence: str
    split: str
    seeds: tuple[int, ...]


class Trust(Strict):
    """What the model takes for strange: see `runtime.tasks.classify.guard`.

    `mean` and `whitening` name .npy files over descriptor `descriptor`; a tile further than `limit`
    from the mean, or blanker than `blank_limit`, is doubted. `false_alarms` is the share of
    validation views that lay beyond the limit.
    """

    descriptor: Literal[1]
    mean: str
    whitening: str
    limit: Annotated[float, Field(gt=0)]
    blank_limit: Annotated[float, Field(gt=0)]
    false_alarms: Annotated[float, Field(ge=0, le=1)]


class Manifest(Strict):
    """The bundle's table of contents and everything the device needs to know of the model.

    `models` names the ONNX file of each precision, `ir` the same model as only OpenVINO reads it,
    `lut` the LBP table. `pixel_size_um` is the closed range the model was trained for; one view is
    `field_um` or `field_px`. `tolerance` is how far a golden score may lie from the expected one on
    another back end. `budgets_ms` holds the p99 a tile may take, per stage.
    """

    format: Literal[1] = 1
    name: Name
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
    task: Literal["tile-classification"]
    classes: Annotated[tuple[str, ...], Field(min_length=2)]
    pixel_size_um: tuple[float, float]
    field_um: FieldOfView | None = None
    field_px: FieldInPixels | None = None
    preprocessing: dict[str, Any]
    models: dict[Precision, str]
    ir: dict[Precision, OpenVinoFiles] = Field(default_factory=dict)
    lut: str
    budgets_ms: dict[str, float]
    metrics: dict[Precision, dict[str, float]]
    quantisation: Quantisation | None = None
    training: Training
    golden: Annotated[tuple[GoldenTile, ...], Field(min_length=1)]
    tolerance: Annotated[float, Field(gt=0, lt=0.5)]
    trust: Trust | None = None
    files: dict[str, FileEntry]

    @field_validator("preprocessing")
    @classmethod
    def _known_preprocessing(cls, plain: dict[str, Any]) -> dict[str, Any]:
        try:
            PreprocessSpec.from_json(plain)
        except (TypeError, KeyError) as error:
            raise ValueError(str(error)) from None
        return plain

    @model_validator(mode="after")
    def _one_field(self) -> Self:
        if (self.field_um is None) == (self.field_px is None):
            raise ValueError("expected one of field_um and field_px")
        return self

    @property
    def field(self) -> FieldOfView | FieldInPixels:
        """Return what one input shows."""
        return self.field_um or self.field_px  # type: ignore[return-value]

    @property
    def spec(self) -> PreprocessSpec:
        """Return the preprocessing this model was trained with."""
        return PreprocessSpec.from_json(self.preprocessing)


def parse_manifest(content: bytes, *, bundle: str) -> Manifest:
    """Return the manifest; raises ModelRefused naming the first field that is wrong."""
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "manifest"
        raise ModelRefused(
            f"bundle {bundle}: {where}: {first['msg']}",
            remedy="it was made for another version; pack it again with 'nightscope export pack'",
        ) from None
