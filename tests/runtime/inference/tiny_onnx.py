"""A three-stream late fusion as ONNX, written byte by byte: no library to make one is needed here.

Field numbers: onnx/onnx.proto of the ONNX project.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runtime.preprocess.inputs import Inputs

FLOAT, INTS, INT = 1, 7, 2
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
    nodes = [_node("Concat", [f"vote:{s}" for s in STREAMS], "votes", axis=1)]
    for stream, name in STREAMS.items():
        vote = [
            _node("Flatten", [name], f"flat:{stream}", axis=1),
            _node("MatMul", [f"flat:{stream}", f"weight:{stream}"], f"logits:{stream}"),
            _node("Softmax", [f"logits:{stream}"], f"vote:{stream}", axis=1),
        ]
        nodes = [*vote, *nodes]
    nodes += [
        _node("MatMul", ["votes", "weight:fuse"], "logits"),
        _node("Softmax", ["logits"], "scores", axis=1),
    ]
    graph = b"".join(_bytes(1, node) for node in nodes) + _bytes(2, b"tiny")
    graph += b"".join(
        _bytes(5, _tensor(f"weight:{name}", array)) for name, array in weights().items()
    )
    graph += b"".join(_bytes(11, _value(name, shape)) for name, shape in SHAPES.items())
    for name, width in OUTPUTS.items():
        graph += _bytes(12, _value(name, (1, width)))
    return _number(1, 8) + _bytes(7, graph) + _bytes(8, _bytes(1, b"") + _number(2, 17))


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    powers = np.exp(logits - logits.max())
    return np.asarray(powers / powers.sum(), dtype=np.float32)


def _node(operation: str, inputs: list[str], output: str, *, axis: int | None = None) -> bytes:
    node = b"".join(_bytes(1, name.encode()) for name in inputs) + _bytes(2, output.encode())
    node += _bytes(4, operation.encode())
    if axis is not None:
        node += _bytes(5, _bytes(1, b"axis") + _number(3, axis) + _number(20, INT))
    return node


def _tensor(name: str, array: NDArray[np.float32]) -> bytes:
    shape = b"".join(_number(1, side) for side in array.shape)
    return shape + _number(2, FLOAT) + _bytes(8, name.encode()) + _bytes(9, array.tobytes())


def _value(name: str, shape: tuple[int, ...]) -> bytes:
    sides = b"".join(_bytes(1, _number(1, side)) for side in shape)
    kind = _bytes(1, _number(1, FLOAT) + _bytes(2, sides))
    return _bytes(1, name.encode()) + _bytes(2, kind)


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
