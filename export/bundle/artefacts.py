"""The folder between training and packing: plain files a person can look at."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.bundle.guard import FittedGuard
from export.quantise.ir import OpenVinoModel, to_ir
from runtime.errors import InputRefused, ModelRefused
from runtime.inference.onnx_scan import has_external_data
from runtime.tile import Pixels

ABOUT, FP32, INT8, LUT = "training.json", "fp32.onnx", "int8.onnx", "lbp_mds.npy"
IR_XML, IR_BIN = "int8.xml", "int8.bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefacts:
    """What one training run leaves: both models, the LBP table, golden tiles, and `about`, the
    manifest's own fields as plain JSON. `fp32` is None where one ONNX file cannot hold it, `guard`
    for a model that doubts nothing.
    """

    about: dict[str, Any]
    fp32: bytes | None
    int8: bytes
    lut: NDArray[np.float32]
    golden: list[Pixels]
    guard: FittedGuard | None = None

    def ir(self) -> OpenVinoModel:
        """Return the int8 model in OpenVINO's own format."""
        return to_ir(self.int8)

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
        np.save(folder / LUT, self.lut)
        for index, tile in enumerate(self.golden):
            np.save(folder / f"golden_{index}.npy", tile)
        if self.guard is not None:
            self.guard.write(folder)

    @classmethod
    def read(cls, folder: Path) -> Artefacts:
        """Return what a folder holds; raises InputRefused when something is missing, ModelRefused
        when a model keeps its weights in another file.
        """
        try:
            return cls(
                about=json.loads((folder / ABOUT).read_text(encoding="utf-8")),
                fp32=_model(folder / FP32) if (folder / FP32).is_file() else None,
                int8=_model(folder / INT8),
                lut=np.load(folder / LUT, allow_pickle=False),
                golden=[
                    np.load(path, allow_pickle=False)
                    for path in sorted(folder.glob("golden_*.npy"))
                ],
                guard=FittedGuard.read(folder),
            )
        except (OSError, ValueError) as error:
            raise InputRefused(
                f"{folder} holds no finished training: {error}",
                remedy="run 'nightscope export train' with this --out",
            ) from None


def _model(path: Path) -> bytes:
    model = path.read_bytes()
    if has_external_data(model):
        raise ModelRefused(
            f"{path} keeps its weights in another file", remedy="save it with its weights inside"
        )
    return model
