"""Run a bundle's golden tiles on this machine: is it the same model here as where it was made?"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from runtime.errors import ModelRefused
from runtime.inference.bundle import Bundle
from runtime.inference.session import Choice, backends, open_session
from runtime.preprocess.inputs import Inputs, to_input


def verify(bundle: Bundle, *, threads: int = 1) -> list[dict[str, Any]]:
    """Return one row per back end and precision: {"backend", "precision", "worst"}.

    "worst" is the largest difference between a golden score and the one computed here. Raises
    ModelRefused when an input is not bit-equal or a score leaves the bundle's tolerance.
    """
    inputs = [_golden_inputs(bundle, index) for index in range(len(bundle.manifest.golden))]
    choices = [
        Choice(backend=backend, precision=precision)
        for backend in backends()
        for precision in bundle.manifest.models
    ]
    return [_check_choice(bundle, choice, inputs, threads=threads) for choice in choices]


def input_digests(inputs: Inputs) -> dict[str, str]:
    """Return the SHA-256 of each input's little-endian float32 bytes."""
    return {
        name: hashlib.sha256(array.astype("<f4").tobytes()).hexdigest()
        for name, array in inputs.items()
    }


def _golden_inputs(bundle: Bundle, index: int) -> Inputs:
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
    manifest = bundle.manifest
    model = bundle.files[manifest.models[choice.precision]]
    session = open_session(model, backend=choice.backend, threads=threads)
    worst = 0.0
    for golden, tile_inputs in zip(manifest.golden, inputs, strict=True):
        scores = session.run(tile_inputs)
        off = float(np.abs(scores - np.asarray(golden.scores[choice.precision])).max())
        if not off <= manifest.tolerance:
            raise ModelRefused(
                f"golden tile {golden.file} scores differently on {choice.backend}"
                f" {choice.precision}",
                value=f"off by {off:.4f}",
                limit=f"{manifest.tolerance:.4f}",
                remedy="choose another models.backend, or pack the model for this machine",
            )
        worst = max(worst, off)
    return {"backend": choice.backend, "precision": choice.precision, "worst": worst}
