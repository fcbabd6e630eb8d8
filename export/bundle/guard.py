"""A fitted guard as plain files, between training and packing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.tasks.classify.descriptor import DESCRIPTOR_VERSION

MEAN, WHITENING, NUMBERS = "trust_mean.npy", "trust_whitening.npy", "trust.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedGuard:
    """`mean` (features,) and `whitening` (features, features) float64, and the manifest's numbers:
    see `runtime.inference.manifest.Trust`.
    """

    mean: NDArray[np.float64]
    whitening: NDArray[np.float64]
    limit: float
    blank_limit: float
    false_alarms: float

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """Return the arrays by file name."""
        return {MEAN: self.mean, WHITENING: self.whitening}

    def manifest(self) -> dict[str, Any]:
        """Return the manifest's `trust`."""
        return {"descriptor": DESCRIPTOR_VERSION, "mean": MEAN, "whitening": WHITENING} | {
            name: getattr(self, name) for name in ("limit", "blank_limit", "false_alarms")
        }

    def write(self, folder: Path) -> None:
        """Write it into a folder."""
        for name, array in self.arrays().items():
            np.save(folder / name, array)
        text = json.dumps(self.manifest(), indent=1) + "\n"
        (folder / NUMBERS).write_text(text, encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> FittedGuard | None:
        """Return what a folder holds, None when it holds none; raises OSError or ValueError."""
        if not (folder / NUMBERS).is_file():
            return None
        numbers = json.loads((folder / NUMBERS).read_text(encoding="utf-8"))
        return cls(
            mean=np.load(folder / MEAN, allow_pickle=False),
            whitening=np.load(folder / WHITENING, allow_pickle=False),
            limit=numbers["limit"],
            blank_limit=numbers["blank_limit"],
            false_alarms=numbers["false_alarms"],
        )
