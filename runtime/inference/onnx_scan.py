"""Find out whether an ONNX file points outside itself, without loading it.

A tensor may keep its values in another file ("external data"), at a path the runtime would follow.
A bundle must hold all it needs, so such a model is refused before any library opens it. Only the
protobuf wire format is read: https://protobuf.dev/programming-guides/encoding/, field numbers from
onnx/onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterator

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
# The fields through which a tensor can be reached, per message type.
CHILDREN: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse",
    },
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}  # fmt: skip
EXTERNAL_DATA, DATA_LOCATION = 13, 14


def has_external_data(model: bytes) -> bool:
    """Return whether any tensor of a serialised ModelProto keeps its values elsewhere.

    Raises ValueError for bytes that are no protobuf message.
    """
    return _is_external(memoryview(model), "model")


def _is_external(message: memoryview, kind: str) -> bool:
    for number, value in _fields(message):
        if kind == "tensor" and (number == EXTERNAL_DATA or (number == DATA_LOCATION and value)):
            return True
        child = CHILDREN[kind].get(number)
        if child and isinstance(value, memoryview) and _is_external(value, child):
            return True
    return False


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        wire = key & 7
        if wire == VARINT:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if wire == LENGTH:
            length, at = _varint(message, at)
        elif wire in (FIXED64, FIXED32):
            length = 8 if wire == FIXED64 else 4
        else:
            raise ValueError(f"wire type {wire} at byte {at}")
        if at + length > len(message):
            raise ValueError(f"field of {length} bytes at byte {at} passes the end")
        yield key >> 3, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            break
        value |= (message[at] & 0x7F) << shift
        at += 1
        if not message[at - 1] & 0x80:
            return value, at
    raise ValueError(f"bad varint before byte {at}")
