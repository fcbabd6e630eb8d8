"""A network for defocus that is easily told: the brightest pixel of a flattened crop, in µm, and a
quarter of the darkest one as the deviation that it expects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from runtime.inference.selftest import input_digests
from runtime.preprocess.strips import flattened
from runtime.tasks.focus.record import DEFOCUS, IMAGE, SPREAD, crop_inputs
from runtime.tile import Pixels
from tests.runtime.inference.onnx_bytes import model, node

if TYPE_CHECKING:
    Forge = Any

SIDE = 64
NAME = "tiny-focus"
SHAPE = (1, 1, SIDE, SIDE)
FLOAT = np.dtype(np.float32)
RANGE_UM = 20.0


def textured(shape: tuple[int, int] = (SIDE, SIDE), *, seed: int = 0) -> Pixels:
    """Return a frame whose detail is coarser than any lens's finest."""
    rng = np.random.default_rng(seed)
    small = rng.uniform(1500, 3000, (shape[0] // 8 + 1, shape[1] // 8 + 1))
    blocks = np.kron(small, np.ones((8, 8)))[: shape[0], : shape[1]]
    return np.asarray(rng.poisson(blocks), np.uint16)


def network() -> bytes:
    """Return it as ONNX."""
    weights = {"flat": np.array([1, 1]), "part": np.float32([-0.25])}
    nodes = [
        node("ReduceMax", [IMAGE], "brightest", axes=[1, 2, 3], keepdims=0),
        node("Reshape", ["brightest", "flat"], DEFOCUS),
        node("ReduceMin", [IMAGE], "darkest", axes=[1, 2, 3], keepdims=0),
        node("Reshape", ["darkest", "flat"], "least"),
        node("Mul", ["least", "part"], SPREAD),
    ]
    outputs = dict.fromkeys((DEFOCUS, SPREAD), (FLOAT, (1, 1)))
    return model(nodes, weights=weights, inputs={IMAGE: SHAPE}, outputs=outputs)


def said(crop: Pixels) -> dict[str, np.ndarray]:
    """Return what it says, computed here."""
    flat = flattened(crop)
    return {
        DEFOCUS: np.float32([[flat.max()]]),
        SPREAD: np.float32([[-0.25 * flat.min()]]),
    }


def into_regressor(forge: Forge) -> Forge:
    """Make a bundle of any task one that tells defocus with the network here, and return it."""
    crop = textured(seed=9)
    forge.files = {"card.md": forge.files["card.md"], "fp32.onnx": network()}
    forge.manifest["files"] = {}
    forge.replace_array("0.npy", crop)
    for name, array in said(crop).items():
        forge.replace_array(f"{name}.npy", array)
    for name in forge.files:
        forge.relist(name)
    forge.manifest |= {
        "name": NAME,
        "task": {
            "kind": "focus",
            "range_um": RANGE_UM,
            "na": [0.29, 0.31],
            "wavelength_um": [0.52, 0.54],
            "sine": [0.19, 0.21],
            "sigma_scale": 1.5,
        },
        "input": {"side_px": SIDE, "parts": [IMAGE], "pixel_size_um": [0.48, 0.52]},
        "networks": {"models": {"fp32": "fp32.onnx"}},
        "golden": {
            "examples": [
                {
                    "pictures": ["0.npy"],
                    "inputs": input_digests(crop_inputs(crop, (IMAGE,))),
                    "outputs": {"fp32": {name: f"{name}.npy" for name in said(crop)}},
                }
            ],
            "tolerance": dict.fromkeys(said(crop), 0.01),
        },
        "budgets_ms": {"focus": 40.0},
    }
    forge.manifest["origin"]["metrics"] = {"fp32": {"gained_um": 8.0}}
    forge.manifest["origin"].pop("quantisation", None)
    return forge
