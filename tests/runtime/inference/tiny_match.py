"""A matching network without weights that is right: cells are alike whose pixels are alike.

Every place is said to lie `OFF_PX` off its cell's, so that a test can tell it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runtime.inference.selftest import input_digests
from runtime.preprocess.inputs import Inputs
from runtime.tasks.match.record import (
    BACK_CONFIDENCE,
    BACK_PARTNER,
    CELL_PX,
    CONFIDENCE,
    OFFSET,
    PARTNER,
    STRIPS,
    StripInput,
)
from runtime.tile import Pixels
from tests.runtime.inference.onnx_bytes import model, node

if TYPE_CHECKING:
    Forge = Any

SHAPE_PX = (32, 64)
ROWS, COLUMNS = (side // CELL_PX for side in SHAPE_PX)
CELLS = ROWS * COLUMNS
# (y, x), as the network says it.
OFF_PX = (1.5, -2.25)
# Cells of 64 pixels: 8 for the right one, and 1 either way for the others.
SOFTER = 1 / 8
NAME = "strip-match"
FLOAT = np.dtype(np.float32)
FEATURES = "vote:backbone"
STRIPS_SHAPE = (2, 1, *SHAPE_PX)
FEATURES_SHAPE = (2, CELL_PX**2, ROWS, COLUMNS)


def specimen(seed: int = 0) -> NDArray[np.uint16]:
    """Return noise, larger than a strip by two cells either way."""
    sides = [side + 4 * CELL_PX for side in SHAPE_PX]
    return np.random.default_rng(seed).integers(500, 4000, sides).astype(np.uint16)


def cut(world: Pixels, *, down: int = 2, across: int = 2) -> Pixels:
    """Return the strip that begins so many cells down and across."""
    top, left = CELL_PX * down, CELL_PX * across
    return world[top : top + SHAPE_PX[0], left : left + SHAPE_PX[1]].copy()


def network() -> bytes:
    """Return it as ONNX: a dual softmax of the products of the cells' pixels."""
    weights = {**_pixels(), **_numbers()}
    return model(
        [*_backbone(), *_head()], weights=weights, inputs={STRIPS: STRIPS_SHAPE}, outputs=_said()
    )


def backbone() -> bytes:
    """Return the first part alone, a convolution that tells the pixels of every cell apart."""
    outputs = {FEATURES: (FLOAT, FEATURES_SHAPE)}
    return model(_backbone(), weights=_pixels(), inputs={STRIPS: STRIPS_SHAPE}, outputs=outputs)


def head() -> bytes:
    """Return the rest."""
    return model(_head(), weights=_numbers(), inputs={FEATURES: FEATURES_SHAPE}, outputs=_said())


def _pixels() -> dict[str, NDArray[np.float32]]:
    kernels = np.eye(CELL_PX**2, dtype=np.float32).reshape(-1, 1, CELL_PX, CELL_PX)
    return {"pixels": kernels}


def _numbers() -> dict[str, NDArray[Any]]:
    return {
        "flat": np.array([2, CELL_PX**2, CELLS]),
        "softer": np.float32([SOFTER]),
        "off": np.tile(np.float32(OFF_PX), (1, CELLS, 1)),
    }


def _said() -> dict[str, tuple[np.dtype[Any], tuple[int, ...]]]:
    return {
        **dict.fromkeys((PARTNER, BACK_PARTNER), (np.dtype(np.int64), (1, CELLS))),
        **dict.fromkeys((CONFIDENCE, BACK_CONFIDENCE), (FLOAT, (1, CELLS))),
        OFFSET: (FLOAT, (1, CELLS, 2)),
    }


def _backbone() -> list[bytes]:
    return [node("Conv", [STRIPS, "pixels"], FEATURES, strides=[CELL_PX, CELL_PX])]


def _head() -> list[bytes]:
    return [
        node("Reshape", [FEATURES, "flat"], "cells"),
        node("Split", ["cells"], "a", "b", axis=0),
        node("Transpose", ["a"], "a_turned", perm=[0, 2, 1]),
        node("MatMul", ["a_turned", "b"], "product"),
        node("Mul", ["product", "softer"], "alike"),
        node("Softmax", ["alike"], "along", axis=2),
        node("Softmax", ["alike"], "across", axis=1),
        node("Mul", ["along", "across"], "sure"),
        node("ArgMax", ["sure"], PARTNER, axis=2, keepdims=0),
        node("ReduceMax", ["sure"], CONFIDENCE, axes=[2], keepdims=0),
        node("ArgMax", ["sure"], BACK_PARTNER, axis=1, keepdims=0),
        node("ReduceMax", ["sure"], BACK_CONFIDENCE, axes=[1], keepdims=0),
        node("Identity", ["off"], OFFSET),
    ]


def sure(inputs: Inputs) -> dict[str, NDArray[np.float32]]:
    """Return the confidences that it gives, computed here."""
    tall = inputs[STRIPS].reshape(2, ROWS, CELL_PX, COLUMNS, CELL_PX).astype(np.float64)
    a, b = tall.transpose(0, 1, 3, 2, 4).reshape(2, CELLS, -1)
    powers = np.exp(SOFTER * a @ b.T)
    found = powers / powers.sum(axis=0) * powers / powers.sum(axis=1, keepdims=True)
    said = {CONFIDENCE: found.max(axis=1), BACK_CONFIDENCE: found.max(axis=0)}
    return {name: one[None].astype(np.float32) for name, one in said.items()}


def into_matcher(forge: Forge) -> Forge:
    """Make a bundle of any task one that matches strips with the network here, and return it."""
    world = specimen(1)
    strips = [cut(world), cut(world, across=3)]
    height_px, width_px = SHAPE_PX
    shown = StripInput(height_px=height_px, width_px=width_px)
    inputs = shown.inputs(strips, lambda name: np.load(name))
    forge.files = {"card.md": forge.files["card.md"], "fp32.onnx": network()}
    forge.manifest["files"] = {}
    for index, picture in enumerate(strips):
        forge.replace_array(f"{index}.npy", picture)
    for name, array in sure(inputs).items():
        forge.replace_array(f"{name}.npy", array)
    for name in forge.files:
        forge.relist(name)
    forge.manifest |= {
        "name": NAME,
        "task": {"kind": "match", "least_confidence": 0.2},
        "input": {"height_px": height_px, "width_px": width_px},
        "networks": {"models": {"fp32": "fp32.onnx"}},
        "golden": {
            "examples": [
                {
                    "pictures": ["0.npy", "1.npy"],
                    "inputs": input_digests(inputs),
                    "outputs": {"fp32": {name: f"{name}.npy" for name in sure(inputs)}},
                }
            ],
            "tolerance": dict.fromkeys(sure(inputs), 0.01),
        },
        "budgets_ms": {"match": 40.0},
    }
    forge.manifest["origin"]["metrics"] = {"fp32": {"matched": 0.75}}
    forge.manifest["origin"].pop("quantisation", None)
    return forge
