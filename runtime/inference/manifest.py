"""The manifest of a bundle: an envelope that every model has, around the record of its task."""

from __future__ import annotations

import json
from typing import Annotated, Any, Final, Literal, Self, cast

from pydantic import (
    BaseModel,
    Field,
    SerializeAsAny,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from runtime.config.strict import Strict
from runtime.errors import ModelRefused
from runtime.inference.task import ModelInput, Records, TaskRecord

FORMAT: Final = 2
Precision = Literal["int8", "fp32"]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.\-]{0,63}$")]
Version = Annotated[str, Field(pattern=r"^[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9}$")]
AGAIN = "it was made for another version; pack it again with 'nightscope export pack'"


class FileEntry(Strict):
    """Size and SHA-256 of one file in the bundle."""

    size: Annotated[int, Field(ge=0)]
    sha256: Digest


class OpenVinoFiles(Strict):
    """One precision in OpenVINO's own format: the graph and its weights."""

    xml: str
    bin: str


class Networks(Strict):
    """`models` names the ONNX file of each precision, `ir` the same as only OpenVINO reads it.

    `cuts` are the tensors that end the graph's branches: everything after them depends on them
    alone, so the branches may run side by side.
    """

    models: Annotated[dict[Precision, str], Field(min_length=1)]
    ir: dict[Precision, OpenVinoFiles] = Field(default_factory=dict)
    cuts: tuple[str, ...] = ()


class Example(Strict):
    """Pictures, the SHA-256 of each input made from them, and what must come out.

    An input's digest is over its float32 little-endian bytes; `outputs` names for each precision
    the .npy file of each output tensor.
    """

    pictures: tuple[str, ...]
    inputs: dict[str, Digest]
    outputs: dict[Precision, dict[str, str]]


class Golden(Strict):
    """Examples that prove the model on any machine, and how far each output tensor may lie from
    the expected one on another back end.
    """

    examples: Annotated[tuple[Example, ...], Field(min_length=1)]
    tolerance: dict[str, Annotated[float, Field(gt=0)]]


class Quantisation(Strict):
    """How int8 came about: layers left in fp32, what each precision reached on the validation
    images by the task's own measure, and how far int8 was allowed to fall below fp32 there.
    """

    kept_fp32: tuple[str, ...]
    reached: dict[Precision, float]
    gate: Annotated[float, Field(ge=0)]


class Training(Strict):
    """Where the model comes from, for the card and for the report."""

    data: str
    licence: str
    split: str
    seeds: tuple[int, ...]


class Origin(Strict):
    """How the model was made and how good it is; `card` names the file that says so in words."""

    training: Training
    quantisation: Quantisation | None = None
    metrics: dict[Precision, dict[str, float]]
    card: str


class Manifest(Strict):
    """The bundle's table of contents and everything the device needs to know of the model.

    `budgets_ms` holds the p99 a tile may take, per stage; `files` lists all but the manifest and
    its signature.
    """

    format: Literal[2] = FORMAT
    name: Name
    version: Version
    task: SerializeAsAny[TaskRecord]
    networks: Networks
    input: SerializeAsAny[ModelInput]
    golden: Golden
    origin: Origin
    budgets_ms: dict[str, float]
    files: dict[str, FileEntry]

    @field_validator("task", mode="wrap")
    @classmethod
    def _as_its_task(cls, plain: Any, _: Any, info: ValidationInfo) -> TaskRecord:
        """Read the record as the one of its kind: `parse_manifest` has looked which there are."""
        records = cast("Records", info.context)
        return records[plain["kind"]].model_validate(plain)

    @field_validator("input", mode="wrap")
    @classmethod
    def _as_its_task_takes(cls, plain: Any, _: Any, info: ValidationInfo) -> ModelInput:
        """Read the input as the one of the task, which stands before it."""
        if "task" not in info.data:
            raise ValueError("its task is not known")
        task = cast("TaskRecord", info.data["task"])
        return task.INPUT.model_validate(plain)

    @model_validator(mode="after")
    def _examples_prove_what_the_task_reads(self) -> Self:
        loosest, precisions = self.task.OUTPUTS, set(self.networks.models)
        if set(self.golden.tolerance) != set(loosest):
            raise ValueError(f"golden.tolerance: expected one for each of {', '.join(loosest)}")
        for tensor, limit in loosest.items():
            if not self.golden.tolerance[tensor] < limit:
                raise ValueError(f"golden.tolerance.{tensor}: expected less than {limit}")
        for example in self.golden.examples:
            if len(example.pictures) != self.task.PICTURES:
                raise ValueError(f"golden.examples: expected {self.task.PICTURES} pictures in each")
            if set(example.outputs) != precisions or any(
                set(files) != set(loosest) for files in example.outputs.values()
            ):
                raise ValueError("golden.examples: expected every output of every precision")
        return self

    @model_validator(mode="after")
    def _comparable(self) -> Self:
        measure = self.task.MEASURE
        if not all(measure in found for found in self.origin.metrics.values()):
            raise ValueError(f"origin.metrics: expected '{measure}' for each precision")
        return self

    def named(self) -> set[str]:
        """Return every file that the manifest refers to."""
        examples = self.golden.examples
        return {
            *self.networks.models.values(),
            *(file for ir in self.networks.ir.values() for file in (ir.xml, ir.bin)),
            *self.input.files(),
            self.origin.card,
            *(file for one in examples for file in one.pictures),
            *(
                file
                for one in examples
                for files in one.outputs.values()
                for file in files.values()
            ),
            *self.task.files(),
        }


# What must be right before the rest can be read: models that look at nothing else.
class _Format(BaseModel):
    format: int


class _Kind(BaseModel):
    kind: str


class _Task(BaseModel):
    task: _Kind


def parse_manifest(content: bytes, *, bundle: str, tasks: Records) -> Manifest:
    """Return the manifest; raises ModelRefused naming the first field that is wrong, a version that
    is not this one, or a task that is not among `tasks`.
    """
    try:
        found = _Format.model_validate_json(content).format
        if found != FORMAT:
            raise _other_format(found, bundle)
        kind = _Task.model_validate_json(content).task.kind
        if kind not in tasks:
            raise _unknown_task(kind, bundle, tasks)
        manifest = Manifest.model_validate_json(content, context=tasks)
        _refuse_doubled(content, bundle)
        return manifest
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "manifest"
        raise ModelRefused(f"bundle {bundle}: {where}: {first['msg']}", remedy=AGAIN) from None


def _refuse_doubled(content: bytes, bundle: str) -> None:
    """Refuse an object that has a key twice: of two readers each may believe another one."""

    def once(pairs: list[tuple[str, Any]]) -> None:
        keys = [key for key, _ in pairs]
        if len(set(keys)) < len(keys):
            twice = next(key for key in keys if keys.count(key) > 1)
            raise ModelRefused(f"bundle {bundle}: its manifest has {twice!r} twice", remedy=AGAIN)

    try:
        json.loads(content, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise ModelRefused(f"bundle {bundle}: manifest: {error}", remedy=AGAIN) from None


def _other_format(found: int, bundle: str) -> ModelRefused:
    return ModelRefused(
        f"bundle {bundle}: its manifest is of another format",
        value=str(found),
        limit=f"{FORMAT}, the one this release reads",
        remedy=AGAIN,
    )


def _unknown_task(kind: str, bundle: str, tasks: Records) -> ModelRefused:
    return ModelRefused(
        f"bundle {bundle}: task '{kind}' is not one that can run here",
        limit=", ".join(tasks),
        remedy="name a model for one of these tasks, or install a release that knows it",
    )
