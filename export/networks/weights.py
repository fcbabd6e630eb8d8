"""A user's file of weights: read safely, and refused by the first weight that does not fit."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from runtime.errors import ConfigRefused


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a state dict by name, be it the file itself or its "state_dict".

    Raises ConfigRefused for a file that cannot be read or holds anything else.
    """
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
            f"checkpoint {path} holds no state dict",
            value=held[:100],
            limit="a mapping of names to tensors, alone or as 'state_dict'",
        )
    return {str(key): value for key, value in found.items()}


def is_unread_counter(key: str, state: Mapping[str, Tensor]) -> bool:
    """Return whether this is a counter that evaluation never reads, absent from `state` as it is
    from files before torch 0.4.1.
    """
    return key.endswith("num_batches_tracked") and key not in state


def require_fit(
    state: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    path: Path,
    *,
    otherwise: str,
    remedy: str,
) -> None:
    """Raise ConfigRefused for the first weight, in the network's order, of another shape or absent
    on either side. `otherwise` says what the file then is.
    """
    for key in (*wanted, *(key for key in state if key not in wanted)):
        have = tuple(state[key].shape) if key in state else "absent"
        want = tuple(wanted[key].shape) if key in wanted else "absent"
        if have != want:
            raise ConfigRefused(
                f"checkpoint {path} is {otherwise}: {key}", value=have, limit=want, remedy=remedy
            )
