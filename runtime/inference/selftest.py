"""Run a bundle's golden tiles on this machine: is it the same model here as where it was made?"""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import ModelRefused
from runtime.inference.backends import backends
from runtime.inference.bundle import Bundle
from runtime.inference.selection import candidates, open_choice
from runtime.inference.session import Choice, Session
from runtime.preprocess.inputs import Inputs, to_input

# Enough for streams to run side by side, whatever the machine has.
THREADS = 2


def verify(bundle: Bundle, *, threads: int = THREADS) -> list[dict[str, Any]]:
    """Return one row for all that can run here: {"backend", "precision", "layout", "worst"}.

    "worst" is the largest difference between a golden score and the one computed here. Raises
    ModelRefused when an input is not bit-equal or a score leaves the bundle's tolerance.
    """
    inputs = [golden_inputs(bundle, index) for index in range(len(bundle.manifest.golden))]
    return [
        _check_choice(bundle, choice, inputs, threads=threads)
        for choice in candidates(bundle, allowed=backends(), threads=threads)
    ]


def check_start(bundle: Bundle, session: Session, choice: Choice) -> None:
    """Run one golden tile, which also warms every kernel, so that no real tile pays for it.

    Raises ModelRefused like `verify`.
    """
    _difference(bundle, 0, choice, session.run(golden_inputs(bundle, 0)))


def input_digests(inputs: Inputs) -> dict[str, str]:
    """Return the SHA-256 of each input's little-endian float32 bytes."""
    return {
        name: hashlib.sha256(array.astype("<f4").tobytes()).hexdigest()
        for name, array in inputs.items()
    }


def golden_inputs(bundle: Bundle, index: int) -> Inputs:
    """Return the inputs made here from a golden tile; raises ModelRefused unless bit-equal."""
    golden = bundle.manifest.golden[index]
    inputs = to_input(bundle.array(golden.file), bundle.manifest.spec, bundle.lut())
    for name, digest in input_digests(inputs).items():
        if golden.inputs.get(name) != digest:
            raise ModelRefused(
                f"golden tile {golden.file}: input '{name}' is not the one the model was made with",
                value=f"SHA-256 {digest[:16]}",
                limit=f"{golden.inputs.get(name, 'none')[:16]}",
                remedy="reinstall nightscope and its numpy and numba on this machine",
            )
    return inputs


def _check_choice(
    bundle: Bundle, choice: Choice, inputs: list[Inputs], *, threads: int
) -> dict[str, Any]:
    session = open_choice(bundle, choice, threads=threads)
    worst = max(
        _difference(bundle, index, choice, session.run(one)) for index, one in enumerate(inputs)
    )
    return {**asdict(choice), "worst": worst}


def _difference(bundle: Bundle, index: int, choice: Choice, scores: NDArray[np.float32]) -> float:
    """Return how far the scores of a golden tile lie from the expected ones, if not too far."""
    golden, limit = bundle.manifest.golden[index], bundle.manifest.tolerance
    off = float(np.abs(scores - np.asarray(golden.scores[choice.precision])).max())
    if not off <= limit:
        raise ModelRefused(
            f"golden tile {golden.file} scores differently on {choice}",
            value=f"off by {off:.4f}",
            limit=f"{limit:.4f}",
            remedy="choose another models.backend, or pack the model for this machine",
        )
    return off
