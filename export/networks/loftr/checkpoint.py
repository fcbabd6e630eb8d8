"""Start from published weights: a user's file in the authors' key layout."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from export.networks.loftr.network import Loftr
from runtime.errors import ConfigRefused

# The authors train a module that holds the network as "matcher".
PREFIX = "matcher."
COUNTER = "num_batches_tracked"


def load_loftr(network: Loftr, path: Path) -> None:
    """Load a checkpoint of the authors' layout: a state dict, or a mapping with one as
    "state_dict", its names with or without "matcher." before them.

    Raises ConfigRefused naming the file and the first weight that does not fit, in the network's
    order; the network is left as it was.
    """
    found = _read(path)
    wanted = network.state_dict()
    # Counters that evaluation never reads: files from before torch 0.4.1 lack them.
    kept = {k: v for k, v in wanted.items() if k.endswith(COUNTER) and k not in found}
    state = {**found, **kept}
    for key in (*wanted, *(key for key in state if key not in wanted)):
        have = tuple(state[key].shape) if key in state else "absent"
        want = tuple(wanted[key].shape) if key in wanted else "absent"
        if have != want:
            raise ConfigRefused(
                f"checkpoint {path} is no LoFTR of these sizes: {key}",
                value=have,
                limit=want,
                remedy="give the authors' file (outdoor_ds.ckpt, indoor_ds.ckpt) for the "
                "published sizes, or the sizes that it was trained with",
            )
    network.load_state_dict(state)


def _read(path: Path) -> dict[str, Tensor]:
    try:
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigRefused(f"checkpoint {path} cannot be read: {reason}") from None
    if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
        found = found["state_dict"]
    if not isinstance(found, dict) or not all(isinstance(v, Tensor) for v in found.values()):
        held = ", ".join(map(str, found)) if isinstance(found, dict) else type(found).__name__
        raise ConfigRefused(
            f"checkpoint {path} holds no LoFTR",
            value=held[:100],
            limit="a mapping of names to tensors, alone or as 'state_dict'",
        )
    return {str(key).removeprefix(PREFIX): value for key, value in found.items()}
