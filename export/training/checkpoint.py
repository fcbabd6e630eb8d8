"""A training's state on disk: never half written, never of another training."""

from __future__ import annotations

import io
import json
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from runtime.errors import ConfigRefused
from runtime.record.storage import write_durably

FILE = "checkpoint.pt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """After `step` steps: weights, their average, optimiser and schedule; the state of torch's
    generators, the processor's first; the sums of the running epoch and the curves so far.

    Samples need no state: how they are drawn follows from seed and epoch.
    """

    step: int
    network: dict[str, Tensor]
    average: dict[str, Tensor] | None
    optimiser: dict[str, Any]
    schedule: dict[str, Any]
    generators: list[Tensor]
    sums: dict[str, float]
    curves: list[dict[str, float]]


def save(folder: Path, checkpoint: Checkpoint, *, identity: dict[str, Any]) -> None:
    """Write the checkpoint; a crash leaves the one before or this one, whole."""
    buffer = io.BytesIO()
    plain = {name: getattr(checkpoint, name) for name in Checkpoint.__slots__}
    torch.save({**plain, "identity": json.dumps(identity, sort_keys=True)}, buffer)
    folder.mkdir(parents=True, exist_ok=True)
    write_durably(folder / FILE, buffer.getvalue())


def load(folder: Path, *, identity: dict[str, Any]) -> Checkpoint | None:
    """Return the folder's checkpoint, or None where there is none.

    Raises ConfigRefused naming the file when it cannot be read, or belongs to another training:
    another network, recipe or seed, or other data.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        stored = json.loads(found.pop("identity"))
        checkpoint = Checkpoint(**found)
    except (OSError, RuntimeError, ValueError, TypeError, KeyError, AttributeError, EOFError,
            pickle.UnpicklingError) as error:  # fmt: skip
        reason = " ".join(str(error).split())[:200]
        raise ConfigRefused(
            f"checkpoint {path} cannot be read: {reason}", remedy="remove it to train afresh"
        ) from None
    _check_same(stored, identity, path)
    return checkpoint


def _check_same(stored: dict[str, Any], identity: dict[str, Any], path: Path) -> None:
    for key in identity:
        if stored.get(key) != identity[key]:
            raise ConfigRefused(
                f"checkpoint {path} belongs to another training: {key} differs",
                value=stored.get(key),
                limit=identity[key],
                remedy="choose another --out, or remove it to train afresh",
            )
