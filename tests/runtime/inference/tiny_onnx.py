"""A three-stream late fusion as ONNX."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runtime.preprocess.inputs import Inputs
from tests.runtime.inference.onnx_bytes import model, node

CLASSES = 2
SHAPES = {"intensity": (1, 1, 4, 4), "lbp1": (1, 3, 4, 4)}
# Two streams share an input, as an ensemble of architectures does.
STREAMS = {"a:intensity": "intensity", "b:intensity": "intensity", "lbp1": "lbp1"}
# Two outputs: a session gives all there are.
OUTPUTS = {"scores": CLASSES, "votes": CLASSES * len(STREAMS)}
CUTS = tuple(f"vote:{stream}" for stream in STREAMS)


def weights() -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(5)
    sizes = {stream: int(np.prod(SHAPES[name])) for stream, name in STREAMS.items()}
    sizes["fuse"] = CLASSES * len(STREAMS)
    return {
        name: rng.normal(size=(size, CLASSES)).astype(np.float32) for name, size in sizes.items()
    }


def expected(inputs: Inputs) -> dict[str, NDArray[np.float32]]:
    made = weights()
    said = [_softmax(inputs[name].reshape(1, -1) @ made[s]) for s, name in STREAMS.items()]
    votes = np.concatenate(said, axis=1)
    return {"scores": _softmax(votes @ made["fuse"]), "votes": votes}


def close(found: dict[str, NDArray[np.float32]], wanted: dict[str, NDArray[np.float32]]) -> bool:
    return found.keys() == wanted.keys() and all(
        found[name].shape == wanted[name].shape
        and np.allclose(found[name], wanted[name], atol=1e-5)
        for name in wanted
    )


def made_inputs() -> Inputs:
    rng = np.random.default_rng(6)
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}


def three_streams() -> bytes:
    nodes = []
    for stream, name in STREAMS.items():
        nodes += [
            node("Flatten", [name], f"flat:{stream}", axis=1),
            node("MatMul", [f"flat:{stream}", f"weight:{stream}"], f"logits:{stream}"),
            node("Softmax", [f"logits:{stream}"], f"vote:{stream}", axis=1),
        ]
    nodes += [
        node("Concat", [f"vote:{s}" for s in STREAMS], "votes", axis=1),
        node("MatMul", ["votes", "weight:fuse"], "logits"),
        node("Softmax", ["logits"], "scores", axis=1),
    ]
    return model(
        nodes,
        weights={f"weight:{name}": array for name, array in weights().items()},
        inputs=SHAPES,
        outputs={name: (np.dtype(np.float32), (1, width)) for name, width in OUTPUTS.items()},
    )


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    powers = np.exp(logits - logits.max())
    return np.asarray(powers / powers.sum(), dtype=np.float32)
