"""Bundles that are bad: each is refused in one line, and what was active stays so."""

from __future__ import annotations

import hashlib
import io
import json
import stat
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.appliance.models.head import read_head
from runtime.appliance.models.ledger import change
from runtime.errors import ModelRefused
from runtime.inference.bundle import MANIFEST, SIGNATURE
from runtime.inference.store import read_state
from tests.runtime.appliance.models.devices import Device, refused

if TYPE_CHECKING:
    Forge = Any
Maker = Callable[..., bytes]


BAD: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda b: b"", "ended before all of it had arrived"),
    "no zip": (lambda b: b"x" * 4000, "does not begin with its manifest"),
    "a begin only": (lambda b: b[:200], "ended before all of it had arrived"),
    "without its end": (lambda b: b[:-30], "cannot be read|too large"),
    "a half": (lambda b: b[: len(b) // 2], "cannot be read|too large"),
    "something after it": (lambda b: b + b"x" * 2**23, "larger than it says"),
    "something before it": (lambda b: b"x" + b, "does not begin with its manifest"),
}


@pytest.mark.parametrize("how", BAD)
def test_what_is_no_whole_bundle_is_refused(device: Device, maker: Maker, how: str) -> None:
    bend, match = BAD[how]
    device.settled(maker("1.0.0"))
    refused(device, bend(maker("1.0.1")), match)
    assert device.version() == "1.0.0"


def test_one_flipped_bit_anywhere_is_refused_and_the_old_one_active(
    device: Device, maker: Maker
) -> None:
    device.settled(maker("1.0.0"))
    content = maker("1.1.0")
    state = read_state(device.root / "store")

    @given(st.integers(0, len(content) - 1), st.integers(0, 7))
    @settings(max_examples=25)
    def flip(at: int, bit: int) -> None:
        bent = bytearray(content)
        bent[at] ^= 1 << bit
        try:
            device.install(bytes(bent))
        except ModelRefused:
            assert read_state(device.root / "store") == state
        else:  # a bit of a date or an attribute, which nothing is made of: it is the same model
            assert device.active().digest == hashlib.sha256(_manifest(content)).hexdigest()
            _forget(device, state)
        assert device.version() == "1.0.0"

    flip()


def _manifest(content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read(MANIFEST)


def _forget(device: Device, state: Any) -> None:
    change(device.root / "store", lambda now: state)


@pytest.mark.slow
def test_a_flipped_bit_in_every_region_is_refused_or_of_no_meaning(
    device: Device, maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bit of every thirty-first byte."""
    # Two thousand times: where others write to the same disk, each takes a tenth of a second.
    monkeypatch.setattr("os.fsync", lambda _descriptor: None)
    device.settled(maker("1.0.0"))
    content, state = maker("1.1.0"), read_state(device.root / "store")
    wanted, harmless = hashlib.sha256(_manifest(content)).hexdigest(), 0
    for at in range(0, len(content), 31):
        bent = bytearray(content)
        bent[at] ^= 1 << at % 8
        try:
            device.install(bytes(bent))
        except ModelRefused:
            assert read_state(device.root / "store") == state
        else:
            assert device.active().digest == wanted
            harmless += 1
            _forget(device, state)
    assert device.version() == "1.0.0"
    assert harmless < len(content) / 31 / 10


@given(st.binary(max_size=80), st.booleans())
@settings(max_examples=40)
def test_whatever_begins_a_stream_has_a_head_or_is_refused(begun: bytes, like_a_zip: bool) -> None:
    with suppress(ModelRefused):
        read_head(b"PK\x03\x04" + begun if like_a_zip else begun, bundle="any")


ANY = st.recursive(st.none() | st.booleans() | st.text(max_size=5), lambda any_: st.lists(any_))


def test_whatever_stands_in_the_state_is_refused_in_a_line(tmp_path: Path) -> None:
    @given(ANY)
    @settings(max_examples=20)
    def read(found: object) -> None:
        for content in (found, {"sha256": "", "state": found}, {"state": {"models": found}}):
            (tmp_path / "state.json").write_text(json.dumps(content))
            with pytest.raises(ModelRefused, match="is not as it was written"):
                read_state(tmp_path)

    read()


def test_a_key_that_stands_twice_is_refused_though_signed(
    device: Device, forge: Forge, maker: Maker
) -> None:
    maker("1.0.0")
    doubled = json.dumps(forge.manifest).replace('"version"', '"version": "0.0.1", "version"', 1)
    signature = forge._key.sign(doubled.encode())
    with zipfile.ZipFile(forge.out, "w") as archive:
        for name, data in {MANIFEST: doubled, SIGNATURE: signature, **forge.files}.items():
            archive.writestr(name, data)
    refused(device, forge.out.read_bytes(), "its manifest has 'version' twice")


def test_a_bundle_that_does_not_begin_with_its_manifest_is_refused(
    device: Device, forge: Forge, maker: Maker
) -> None:
    whole = io.BytesIO(maker("1.0.0"))
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(forge.out, "w") as target:
        for name in reversed(source.namelist()):
            target.writestr(name, source.read(name))
    refused(device, forge.out.read_bytes(), "does not begin with its manifest and signature")


def test_a_member_that_is_extra_or_missing_is_refused(
    device: Device, forge: Forge, maker: Maker
) -> None:
    maker("1.0.0")
    forge.files["extra.bin"] = b"x"
    refused(device, forge.write().read_bytes(), r"extra\.bin is not in its manifest")
    del forge.files["extra.bin"], forge.files["0.npy"]
    refused(device, forge.write().read_bytes(), r"0\.npy is missing")


def test_swapped_files_are_refused(device: Device, forge: Forge, maker: Maker) -> None:
    maker("1.0.0")
    one, other = forge.files["0.npy"], forge.files["1.npy"]
    forge.files |= {"0.npy": other, "1.npy": one}
    refused(device, forge.write().read_bytes(), r"[01]\.npy was altered")


def linked(path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")


def climbing(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../../evil", b"x")


@pytest.mark.parametrize(
    ("bend", "match"),
    [
        (linked, "is a link"),
        (climbing, "leaves the bundle"),
    ],
)
def test_links_and_names_that_climb_are_refused(
    device: Device, forge: Forge, maker: Maker, bend: Callable[[Path], None], match: str
) -> None:
    device.settled(maker("1.0.0"))
    maker("1.1.0")
    bend(forge.out)
    refused(device, forge.out.read_bytes(), match)


def test_a_bomb_is_refused(device: Device, forge: Forge, maker: Maker) -> None:
    """The signed list says a byte; the archive, packed a thousandfold, has 16 MB."""
    device.settled(maker("1.0.0"))
    forge.files["0.npy"] = bytes(2**24)
    forge.manifest |= {"version": "1.1.0"}
    refused(device, forge.write(coding=zipfile.ZIP_DEFLATED).read_bytes(), r"0\.npy was altered")


def test_external_data_is_refused(device: Device, forge: Forge, maker: Maker) -> None:
    device.settled(maker("1.0.0"))
    maker("1.1.0")
    # Protobuf messages merge when joined: graph { initializer { data_location: EXTERNAL } }.
    forge.files["fp32.onnx"] += bytes([0x3A, 4, 0x2A, 2, 0x70, 1])
    forge.relist("fp32.onnx")
    refused(device, forge.write().read_bytes(), "keeps data outside the bundle")
