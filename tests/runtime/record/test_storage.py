"""Tile files: whole or absent, readable by others, and a full disk is told apart."""

import errno
import os
import stat
from pathlib import Path

import numpy as np
import pytest
import tifffile

from runtime.errors import InputRefused, StorageFailed
from runtime.record.storage import (
    read_pixels,
    sweep_parts,
    write_durably,
)


def test_an_interrupted_write_leaves_no_name(tmp_path, monkeypatch):
    def cut(*_):
        raise OSError(errno.EIO, "power cut")

    monkeypatch.setattr("runtime.record.storage.os.fsync", cut)
    with pytest.raises(StorageFailed, match=r"disk failed while writing f: .*nightscope resume"):
        write_durably(tmp_path / "f", b"content")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_write_left_is_swept_away(tmp_path):
    (tmp_path / ".f.part").write_bytes(b"con")
    (tmp_path / ".journal.sqlite.part-wal").write_bytes(b"log")
    (tmp_path / "whole").write_bytes(b"content")
    assert sweep_parts(tmp_path) == 2
    assert [file.name for file in tmp_path.iterdir()] == ["whole"]


def test_content_is_synced_before_its_name_and_the_name_before_it_is_relied_on(
    tmp_path, monkeypatch
):
    """A rename that is not synced can be gone after a power cut, and the journal names the file."""
    done, sync, rename = [], os.fsync, Path.replace

    def synced(number):
        folder = stat.S_ISDIR(os.fstat(number).st_mode)
        done.append("folder synced" if folder else f"{os.fstat(number).st_size} bytes synced")
        sync(number)

    def renamed(part, target):
        done.append("renamed")
        return rename(part, target)

    monkeypatch.setattr("runtime.record.storage.os.fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    write_durably(tmp_path / "f", b"content")
    assert done == ["7 bytes synced", "renamed", "folder synced"]


@pytest.mark.parametrize("content", [b"", b"not a tiff", None])
def test_an_unreadable_tile_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / "bad.tif").write_bytes(content)
    with pytest.raises(InputRefused, match=r"bad\.tif cannot be read"):
        read_pixels(tmp_path / "bad.tif")


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "packbits"])
def test_a_tile_overwritten_anywhere_is_named_or_read(tmp_path, compression):
    """Decoders end with errors of their own."""
    whole = tmp_path / "whole.tif"
    pixels = np.random.default_rng(0).integers(0, 4096, (48, 64), dtype=np.uint16)
    tifffile.imwrite(whole, pixels, compression=compression)
    content, refused = whole.read_bytes(), 0
    for at in range(0, len(content) - 8, 97):
        bad = bytearray(content)
        bad[at : at + 8] = b"\xa5" * 8
        (tmp_path / "bad.tif").write_bytes(bad)
        try:
            read_pixels(tmp_path / "bad.tif")
        except InputRefused:
            refused += 1
    assert refused
