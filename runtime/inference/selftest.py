"""The self-test: run a bundle's golden examples and compare with the outputs it carries."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import Any

import numpy as np

from runtime.errors import ModelRefused
from runtime.inference.backends import backends
from runtime.inference.bundle import Bundle
from runtime.inference.candidates import candidates, open_choice
from runtime.inference.session import Choice, Outputs, Session
from runtime.preprocess.inputs import Inputs

# Enough for branches to run side by side, whatever the machine has.
THREADS = 2


def verify(bundle: Bundle, *, threads: int = THREADS) -> list[dict[str, Any]]:
    """Return one row for all that can run here: {"backend", "precision", "layout", "worst"}.

    "worst" maps each output tensor to the largest difference between a golden value and the one
    computed here. Raises ModelRefused when an input is not bit-equal or an output leaves the
    bundle's tolerance.
    """
    inputs = all_golden_inputs(bundle)
    return [
        {
            **asdict(choice),
            "worst": check_golden(
                bundle, open_choice(bundle, choice, threads=threads), choice, inputs
            ),
        }
        for choice in candidates(bundle, allowed=backends(), threads=threads)
    ]


def check_golden(
    bundle: Bundle, session: Session, choice: Choice, inputs: list[Inputs]
) -> dict[str, float]:
    """Return by how much each output differs at most from what the golden examples must give.

    Raises ModelRefused when one leaves the bundle's tolerance.
    """
    found = [
        _differences(bundle, index, choice, session.run(one)) for index, one in enumerate(inputs)
    ]
    return {name: max(one[name] for one in found) for name in bundle.manifest.golden.tolerance}


def all_golden_inputs(bundle: Bundle) -> list[Inputs]:
    """Return the inputs made here from every golden example; raises as `golden_inputs` does."""
    return [golden_inputs(bundle, index) for index in range(len(bundle.manifest.golden.examples))]


def check_start(bundle: Bundle, session: Session, choice: Choice) -> None:
    """Run one golden example, which also warms the network and what its inputs are made with.

    What a guard counts is no input: `runtime.preprocess.warm` compiles that. Raises ModelRefused
    like `verify`.
    """
    _differences(bundle, 0, choice, session.run(golden_inputs(bundle, 0)))


def input_digests(inputs: Inputs) -> dict[str, str]:
    """Return the SHA-256 of each input's little-endian float32 bytes."""
    return {
        name: hashlib.sha256(array.astype("<f4").tobytes()).hexdigest()
        for name, array in inputs.items()
    }


def golden_inputs(bundle: Bundle, index: int) -> Inputs:
    """Return the inputs made here from a golden example; raises ModelRefused unless bit-equal."""
    expected = bundle.manifest.golden.examples[index].inputs
    inputs = bundle.inputs(index)
    for name, digest in input_digests(inputs).items():
        if expected.get(name) != digest:
            raise ModelRefused(
                f"golden example {index}: input '{name}' is not the one the model was made with",
                value=f"SHA-256 {digest[:16]}",
                limit=f"{expected.get(name, 'none')[:16]}",
                remedy="reinstall nightscope and its numpy and numba on this machine",
            )
    return inputs


def golden_outputs(bundle: Bundle, index: int, choice: Choice) -> Outputs:
    """Return what a golden example must give in the precision of a choice, by tensor."""
    files = bundle.manifest.golden.examples[index].outputs[choice.precision]
    return {name: bundle.array(file) for name, file in files.items()}


def _differences(bundle: Bundle, index: int, choice: Choice, outputs: Outputs) -> dict[str, float]:
    """Return how far each output of a golden example lies from the expected one, if not too far."""
    golden = golden_outputs(bundle, index, choice)
    return {
        name: _difference(index, choice, name, outputs.get(name), golden[name], limit=limit)
        for name, limit in bundle.manifest.golden.tolerance.items()
    }


def _difference(
    index: int, choice: Choice, name: str, found: Any, expected: Any, *, limit: float
) -> float:
    if found is None or found.shape != expected.shape:
        off = np.inf
    else:
        off = float(np.abs(found - expected).max())
    if not off <= limit:
        raise ModelRefused(
            f"golden example {index}: output '{name}' comes out differently on {choice}",
            value=f"off by {off:.4f}",
            limit=f"{limit:.4f}",
            remedy="choose another models.backend, or pack the model for this machine",
        )
    return off
