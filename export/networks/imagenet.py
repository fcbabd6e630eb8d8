"""Start from ImageNet: weights from a user's file, in torchvision's key layout."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from export.networks.base import TileNetwork
from runtime.errors import ConfigRefused

# A counter that files from before torch 0.4.1 lack and that evaluation never reads.
COUNTER = "num_batches_tracked"


def load_imagenet(network: TileNetwork, path: Path) -> None:
    """Load a checkpoint into a network, all but the layer that depends on the classes.

    The first convolution's mean over red, green and blue serves every channel of an input with
    another number of channels, scaled by 3 / channels so that its response keeps its size; for one
    channel that is a grey picture fed to all three. Raises ConfigRefused naming the file and the
    first key that does not fit; the network is left as it was.
    """
    wanted = network.state_dict()
    found = _read(path)
    state = {
        key: value for key, value in found.items() if not key.startswith(f"{network.last_layer}.")
    }
    first = f"{network.first_layer}.weight"
    if first in state:
        state[first] = _spread(state[first], channels=wanted[first].shape[1])
    kept = {key: value for key, value in wanted.items() if _is_kept(key, network, state)}
    _check({**state, **kept}, wanted, path)
    network.load_state_dict({**state, **kept})


def _is_kept(key: str, network: TileNetwork, state: dict[str, Tensor]) -> bool:
    missing_counter = key.endswith(COUNTER) and key not in state
    return missing_counter or key.startswith(f"{network.last_layer}.")


def _read(path: Path) -> dict[str, Tensor]:
    try:
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigRefused(f"checkpoint {path} cannot be read: {reason}") from None
    if not isinstance(found, dict) or not all(isinstance(v, Tensor) for v in found.values()):
        raise ConfigRefused(
            f"checkpoint {path} holds no state dict",
            value=type(found).__name__,
            limit="a mapping of names to tensors, as torchvision saves it",
        )
    return found


def _spread(weight: Tensor, *, channels: int) -> Tensor:
    if weight.ndim != 4 or weight.shape[1] == channels:
        return weight
    mean = weight.mean(dim=1, keepdim=True) * (weight.shape[1] / channels)
    return mean.expand(-1, channels, -1, -1).clone()


def _check(state: dict[str, Tensor], wanted: dict[str, Tensor], path: Path) -> None:
    """Raise ConfigRefused for the first key, in the network's order, that does not fit."""
    for key in (*wanted, *(key for key in state if key not in wanted)):
        have = tuple(state[key].shape) if key in state else "absent"
        want = tuple(wanted[key].shape) if key in wanted else "absent"
        if have != want:
            raise ConfigRefused(
                f"checkpoint {path} is of another architecture: {key}",
                value=have,
                limit=want,
                remedy="give the file that belongs to the configuration's architecture",
            )
