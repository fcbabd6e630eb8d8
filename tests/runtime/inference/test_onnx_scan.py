from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.inference.onnx_scan import has_external_data


def field(number: int, content: bytes) -> bytes:
    assert len(content) < 128
    key = number << 3 | 2
    head = [key] if key < 128 else [key & 0x7F | 0x80, key >> 7]
    return bytes([*head, len(content)]) + content


EXTERNAL = bytes([14 << 3, 1])
PLAIN = bytes([14 << 3, 0])
PATHS = {
    "initializer": (7, 5),
    "sparse initializer's values": (7, 15, 1),
    "constant node": (7, 1, 5, 5),
    "list of tensors": (7, 1, 5, 10),
    "subgraph": (7, 1, 5, 6, 5),
    "list of subgraphs": (7, 1, 5, 11, 1, 5, 5),
    "function": (25, 7, 5, 5),
    "training": (20, 2, 5),
}


def nested(path: tuple[int, ...], tensor: bytes) -> bytes:
    for number in reversed(path):
        tensor = field(number, tensor)
    return tensor


@pytest.mark.parametrize("where", PATHS)
def test_external_data_is_found_wherever_a_tensor_can_be(where: str) -> None:
    assert has_external_data(nested(PATHS[where], EXTERNAL))
    assert not has_external_data(nested(PATHS[where], PLAIN))


def test_a_location_entry_alone_is_external() -> None:
    assert has_external_data(nested((7, 5), field(13, b"x")))


@given(st.binary(max_size=60))
def test_any_bytes_give_an_answer_or_a_value_error(content: bytes) -> None:
    try:
        answer = has_external_data(content)
    except ValueError:
        return
    assert answer in (True, False)


def test_a_field_longer_than_the_message_is_an_error() -> None:
    with pytest.raises(ValueError, match="passes the end"):
        has_external_data(bytes([0x3A, 100, 1]))
