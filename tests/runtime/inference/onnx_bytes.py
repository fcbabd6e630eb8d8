"""ONNX written byte by byte: no library to make one is needed here.

Field numbers: onnx/onnx.proto of the ONNX project.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# By dtype, what the format calls it; an attribute's kinds.
TYPES = {np.dtype(np.float32): 1, np.dtype(np.int64): 7}
INT, INTS = 2, 7
IR_VERSION, OPSET = 8, 17
Shapes = Mapping[str, tuple[int, ...]]


def model(
    nodes: Sequence[bytes],
    *,
    weights: Mapping[str, NDArray[Any]],
    inputs: Shapes,
    outputs: Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]],
) -> bytes:
    """Return a graph of `node`s; its inputs are float32."""
    graph = b"".join(_bytes(1, node) for node in nodes) + _bytes(2, b"tiny")
    graph += b"".join(_bytes(5, _tensor(name, array)) for name, array in weights.items())
    floats = np.dtype(np.float32)
    graph += b"".join(_bytes(11, _value(name, floats, shape)) for name, shape in inputs.items())
    graph += b"".join(_bytes(12, _value(name, *kind)) for name, kind in outputs.items())
    opset = _bytes(1, b"") + _number(2, OPSET)
    return _number(1, IR_VERSION) + _bytes(7, graph) + _bytes(8, opset)


def node(
    operation: str, inputs: Sequence[str], *outputs: str, **attributes: int | Sequence[int]
) -> bytes:
    """Return one operation; its attributes are whole numbers, or several of them."""
    made = b"".join(_bytes(1, name.encode()) for name in inputs)
    made += b"".join(_bytes(2, name.encode()) for name in outputs)
    made += _bytes(4, operation.encode())
    return made + b"".join(_bytes(5, _attribute(*one)) for one in attributes.items())


def _attribute(name: str, value: int | Sequence[int]) -> bytes:
    if isinstance(value, int):
        return _bytes(1, name.encode()) + _number(3, value) + _number(20, INT)
    several = b"".join(_number(8, one) for one in value)
    return _bytes(1, name.encode()) + several + _number(20, INTS)


def _tensor(name: str, array: NDArray[Any]) -> bytes:
    shape = b"".join(_number(1, side) for side in array.shape)
    return (
        shape
        + _number(2, TYPES[array.dtype])
        + _bytes(8, name.encode())
        + _bytes(9, array.tobytes())
    )


def _value(name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    sides = b"".join(_bytes(1, _number(1, side)) for side in shape)
    kind = _bytes(1, _number(1, TYPES[dtype]) + _bytes(2, sides))
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
