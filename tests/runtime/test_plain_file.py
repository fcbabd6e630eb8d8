"""What is handed in is looked at before it is read, and refused in one short line."""

import io
import os
from pathlib import Path

import numpy as np
import pytest

from runtime.errors import LONGEST, InputRefused
from runtime.plain_file import array_of, read_plain, read_text


def made(kind: str, folder: Path) -> Path:
    path = folder / kind
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "link to a device":
        path.symlink_to("/dev/zero")
    elif kind == "holes":
        path.touch()
        os.truncate(path, 2**40)
    elif kind == "not text":
        path.write_bytes(b"name: \xe9\n")
    return path


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("pipe", "is no plain file"),
        ("folder", "is no plain file"),
        ("link to a device", "is no plain file"),
        ("holes", "too large; value 1099511627776 bytes; limit 1000 bytes"),
        ("absent", "No such file"),
        ("not text", "not a text file; value byte 0xe9 at 6; limit UTF-8"),
        ("a\0b", "null byte"),
        ("x" * 5000, "name too long"),
    ],
)
def test_what_is_no_plain_text_is_refused_by_its_true_reason(
    tmp_path: Path, kind: str, says: str
) -> None:
    path = made(kind, tmp_path)
    with pytest.raises(InputRefused, match=says) as refusal:
        read_text(path, what="plan", most_bytes=1000, refuse=InputRefused)
    assert len(str(refusal.value)) < 500


def test_a_text_is_read_as_text_editors_of_any_system_write_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbfone\r\ntwo\rthree\n")
    text = read_text(tmp_path / "a", what="plan", most_bytes=100, refuse=InputRefused)
    assert text == "one\ntwo\nthree\n"
    assert read_plain(tmp_path / "a", what="plan", most_bytes=100, refuse=InputRefused)[:1]


def saved(array: object, **how: bool) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(array), **how)
    return buffer.getvalue()


WHOLE = saved(np.arange(6, dtype=np.float32).reshape(2, 3))


# The header is padded with spaces: another shape fits in.
PROMISING = WHOLE.replace(b"(2, 3), }".ljust(17), b"(200000, 300), }".ljust(17))


def test_an_array_comes_back() -> None:
    assert np.array_equal(array_of(WHOLE), [[0, 1, 2], [3, 4, 5]])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no array"),
        (b"\x93NUMPY\x09\x00", "no array"),
        (PROMISING, "promises 240000000 bytes, 24 follow"),
        (WHOLE[:-1], "promises 24 bytes, 23 follow"),
        (WHOLE.replace(b"'<f4'", b"'|O8'"), "objects"),
        (saved([{}], allow_pickle=True), "objects"),
        (b"\x93NUMPY\x01\x00" + (9000).to_bytes(2, "little") + b"(" * 9000, "no array"),
    ],
)
def test_an_array_that_is_not_as_its_header_says_is_no_array(content: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        array_of(content)


def test_a_message_is_one_short_printable_line_that_keeps_both_ends() -> None:
    message = str(
        InputRefused("/a/" + "x" * 5000 + ": \x1b[31mred\nend", value="v" * 3000, remedy="mend it")
    )
    assert len(message) <= LONGEST
    assert message.isprintable()
    assert message.startswith("/a/xxx")
    assert message.endswith(". mend it")
    assert "red end; value v" in message


def test_a_name_that_is_no_text_stays_as_it_is() -> None:
    assert "b\udcff" in str(InputRefused("b\udcff.tif: gone"))
