"""Start from published weights: a user's file in the authors' key layout."""

from __future__ import annotations

from pathlib import Path

from export.networks.loftr.network import Loftr
from export.networks.weights import is_unread_counter, read_weights, require_fit

# The authors train a module that holds the network as "matcher".
PREFIX = "matcher."


def load_loftr(network: Loftr, path: Path) -> None:
    """Load a checkpoint of the authors' layout, its names with or without "matcher." before them.

    Raises ConfigRefused naming the file and the first weight that does not fit, in the network's
    order; the network is left as it was.
    """
    found = {key.removeprefix(PREFIX): value for key, value in read_weights(path).items()}
    wanted = network.state_dict()
    kept = {key: value for key, value in wanted.items() if is_unread_counter(key, found)}
    state = {**found, **kept}
    require_fit(
        state,
        wanted,
        path,
        otherwise="no LoFTR of these sizes",
        remedy="give the authors' file (outdoor_ds.ckpt, indoor_ds.ckpt) for the published sizes, "
        "or the sizes that it was trained with",
    )
    network.load_state_dict(state)
