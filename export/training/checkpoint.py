"""A training's state on disk after every epoch: never half written, never of another training."""

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
    """After `epoch` epochs: weights, optimiser and schedule, and the curves so far.

    Nothing random is stored: every epoch draws from generators seeded by seed and epoch.
    """

    epoch: int
    network: dict[str, Tensor]
    optimiser: dict[str, Any]
    schedule: dict[str, Any]
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
    another architecture, input, recipe, seed or other data.
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
