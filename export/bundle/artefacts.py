"""The folder between training and packing: plain files a person can look at."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.convert.ir import OpenVinoModel, to_ir
from runtime.errors import InputRefused, ModelRefused
from runtime.inference.onnx_scan import has_external_data
from runtime.inference.task import ModelInput, TaskRecord
from runtime.tasks.registry import RECORDS
from runtime.tile import Pixels

ABOUT, FP32, INT8, CARD = "training.json", "fp32.onnx", "int8.onnx", "card.md"
IR_XML, IR_BIN = "int8.xml", "int8.bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefacts:
    """What one training run leaves, whatever its task.

    `about` holds the manifest's own fields as plain JSON, but for those that packing finds out;
    its tolerances are the least ones. `fp32` is None where one ONNX file cannot hold it. `golden`
    has the pictures of every golden example, `arrays` by file name what the records of task and
    input name, `card` the model in words.
    """

    about: dict[str, Any]
    fp32: bytes | None
    int8: bytes
    golden: list[list[Pixels]]
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    card: str = ""

    def ir(self) -> OpenVinoModel:
        """Return the int8 model in OpenVINO's own format."""
        return to_ir(self.int8)

    @property
    def task(self) -> TaskRecord:
        """Return the record of the task."""
        return task_of(self.about)

    @property
    def input(self) -> ModelInput:
        """Return the record of what the network takes."""
        return input_of(self.about)

    def write(self, folder: Path) -> None:
        """Write them into a folder, made if need be, the int8 model in OpenVINO's format too."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ABOUT).write_text(json.dumps(self.about, indent=1) + "\n", encoding="utf-8")
        if self.fp32 is None:
            (folder / FP32).unlink(missing_ok=True)
        else:
            (folder / FP32).write_bytes(self.fp32)
        (folder / INT8).write_bytes(self.int8)
        ir = self.ir()
        (folder / IR_XML).write_bytes(ir.xml)
        (folder / IR_BIN).write_bytes(ir.weights)
        (folder / CARD).write_text(self.card, encoding="utf-8")
        for name, array in self.arrays.items():
            np.save(folder / name, array)
        for index, pictures in enumerate(self.golden):
            for place, picture in enumerate(pictures):
                np.save(folder / _golden(index, place), picture)

    @classmethod
    def read(cls, folder: Path) -> Artefacts:
        """Return what a folder holds; raises InputRefused when something is missing, ModelRefused
        when a model keeps its weights in another file.
        """
        try:
            about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
            task = task_of(about)
            named = (*task.files(), *input_of(about).files())
            return cls(
                about=about,
                fp32=_model(folder / FP32) if (folder / FP32).is_file() else None,
                int8=_model(folder / INT8),
                golden=_read_golden(folder, pictures=task.PICTURES),
                arrays={name: np.load(folder / name, allow_pickle=False) for name in named},
                card=(folder / CARD).read_text(encoding="utf-8"),
            )
        except (OSError, ValueError, KeyError) as error:
            raise InputRefused(
                f"{folder} holds no finished training: {error}",
                remedy="run 'nightscope export train' with this --out",
            ) from None


def task_of(about: Mapping[str, Any]) -> TaskRecord:
    """Return the record of the task; raises KeyError or ValueError when there is no such one."""
    return RECORDS[about["task"]["kind"]].model_validate(about["task"])


def input_of(about: Mapping[str, Any]) -> ModelInput:
    """Return the record of what the network takes; raises like `task_of`."""
    return task_of(about).INPUT.model_validate(about["input"])


def _golden(index: int | str, place: int) -> str:
    return f"golden_{index}_{place}.npy"


def _read_golden(folder: Path, *, pictures: int) -> list[list[Pixels]]:
    count = len(list(folder.glob(_golden("*", 0))))
    return [
        [np.load(folder / _golden(index, place), allow_pickle=False) for place in range(pictures)]
        for index in range(count)
    ]


def _model(path: Path) -> bytes:
    model = path.read_bytes()
    if has_external_data(model):
        raise ModelRefused(
            f"{path} keeps its weights in another file", remedy="save it with its weights inside"
        )
    return model
