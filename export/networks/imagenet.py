"""Start from ImageNet: weights from a user's file, in torchvision's key layout."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from export.networks.base import TileNetwork
from export.networks.weights import is_unread_counter, read_weights, require_fit


def load_imagenet(network: TileNetwork, path: Path) -> None:
    """Load a checkpoint into a network, all but the layer that depends on the classes.

    The first convolution's mean over red, green and blue serves every channel of an input with
    another number of channels, scaled by 3 / channels so that its response keeps its size; for one
    channel that is a grey picture fed to all three. Raises ConfigRefused naming the file and the
    first key that does not fit; the network is left as it was.
    """
    wanted = network.state_dict()
    found = read_weights(path)
    state = {
        key: value for key, value in found.items() if not key.startswith(f"{network.last_layer}.")
    }
    first = f"{network.first_layer}.weight"
    if first in state:
        state[first] = _spread(state[first], channels=wanted[first].shape[1])
    kept = {key: value for key, value in wanted.items() if _is_kept(key, network, state)}
    require_fit(
        {**state, **kept},
        wanted,
        path,
        otherwise="of another architecture",
        remedy="give the file that belongs to the configuration's architecture",
    )
    network.load_state_dict({**state, **kept})


def _is_kept(key: str, network: TileNetwork, state: dict[str, Tensor]) -> bool:
    return is_unread_counter(key, state) or key.startswith(f"{network.last_layer}.")


def _spread(weight: Tensor, *, channels: int) -> Tensor:
    if weight.ndim != 4 or weight.shape[1] == channels:
        return weight
    mean = weight.mean(dim=1, keepdim=True) * (weight.shape[1] / channels)
    return mean.expand(-1, channels, -1, -1).clone()
