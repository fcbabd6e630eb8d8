"""The folder between training and packing: plain files a person can look at."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.guard import FittedGuard
from runtime.errors import InputRefused

ABOUT, FP32, INT8, LUT = "training.json", "fp32.onnx", "int8.onnx", "lbp_mds.npy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefacts:
    """What one training run leaves: both models, the LBP table, golden tiles, and `about`, the
    manifest's own fields as plain JSON; `guard` is None for a model that doubts nothing.
    """

    about: dict[str, Any]
    fp32: bytes
    int8: bytes
    lut: NDArray[np.float32]
    golden: list[NDArray[np.uint16]]
    guard: FittedGuard | None = None

    def write(self, folder: Path) -> None:
        """Write them into a folder, made if need be."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ABOUT).write_text(json.dumps(self.about, indent=1) + "\n", encoding="utf-8")
        (folder / FP32).write_bytes(self.fp32)
        (folder / INT8).write_bytes(self.int8)
        np.save(folder / LUT, self.lut)
        for index, tile in enumerate(self.golden):
            np.save(folder / f"golden_{index}.npy", tile)
        if self.guard is not None:
            self.guard.write(folder)

    @classmethod
    def read(cls, folder: Path) -> Artefacts:
        """Return what a folder holds; raises InputRefused when something is missing."""
        try:
            return cls(
                about=json.loads((folder / ABOUT).read_text(encoding="utf-8")),
                fp32=(folder / FP32).read_bytes(),
                int8=(folder / INT8).read_bytes(),
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
                remedy="run 'python -m export train' with this --out",
            ) from None
