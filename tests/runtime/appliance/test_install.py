"""How models come onto a device: what is refused, in which words, and what is active then."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.appliance.models import install as module
from runtime.appliance.models.incoming import Expected, TransferBroken
from runtime.appliance.models.install import already
from runtime.appliance.models.keys import revoke_key
from runtime.appliance.models.ledger import IN_USE, INSTALLING, change, locked
from runtime.appliance.models.trials import roll_back
from runtime.errors import ConfigRefused, DiskFull, ModelRefused, ModelRolledBack
from runtime.inference.bundle import MANIFEST, SIGNATURE
from runtime.inference.shelf import shelf_of
from runtime.inference.store import read_state
from tests.runtime.appliance.devices import NAME, Device, looked_at

if TYPE_CHECKING:
    Forge = Any
Maker = Callable[..., bytes]


def refused(device: Device, content: bytes, match: str, **options: Any) -> str:
    """Return how a bundle is refused; what was active is active then, and nothing else is left."""
    before = read_state(device.root / "store")
    with pytest.raises(ModelRefused, match=match) as caught:
        device.install(content, **options)
    assert read_state(device.root / "store") == before
    assert not list((device.root / "store/incoming").glob("*"))
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(caught.value.remedy)
    return message


def test_a_model_comes_in_is_on_trial_and_is_what_every_verb_opens(
    device: Device, maker: Maker
) -> None:
    done = device.install(maker("1.0.0"))
    assert (done.version, done.before, done.changed, done.trial_tiles) == ("1.0.0", None, True, 50)
    assert device.version() == "1.0.0"
    slots = read_state(device.root / "store").model(NAME)
    assert slots.trial is not None
    assert slots.highest == "0.0.0"  # nothing is confirmed yet


def test_a_bundle_that_is_active_already_changes_nothing(device: Device, maker: Maker) -> None:
    content = maker("1.0.0")
    device.install(content)
    state = read_state(device.root / "store")
    assert device.install(content).changed is False
    assert read_state(device.root / "store") == state


def test_two_slots_keep_the_version_before(device: Device, maker: Maker) -> None:
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        device.settled(maker(version))
    slots = read_state(device.root / "store").model(NAME)
    assert sorted(one.version for one in slots.slots.values()) == ["1.1.0", "1.2.0"]
    assert len(list((device.root / "store/slots").rglob("*.nsb"))) == 2


def test_nothing_comes_while_another_version_is_on_trial(device: Device, maker: Maker) -> None:
    device.install(maker("1.0.0"))
    refused(device, maker("1.1.0"), r"cannot come while version 1\.0\.0 is on trial.*confirm")


@pytest.mark.parametrize(
    ("version", "match"),
    [
        ("1.0.0", r"is older than what this device had; value 1\.0\.0; limit 1\.1\.0, confirmed"),
        ("1.1.0", r"has a version that this device had already.*higher than 1\.1\.0"),
    ],
)
def test_versions_only_go_up_whatever_is_in_the_slots(
    device: Device, maker: Maker, version: str, match: str
) -> None:
    device.settled(maker("1.0.0"))
    device.settled(maker("1.1.0"))
    roll_back(device.models, NAME, reason="by hand")
    assert device.version() == "1.0.0"
    shutil.rmtree(device.root / "store/slots")  # a slot that was lost comes again, and no older one
    refused(device, _other(maker, version), match)


def _other(maker: Maker, version: str) -> bytes:
    """Return another bundle of that version."""
    return maker(version, budgets_ms={"match": 9e5})


def test_one_that_was_rolled_back_comes_again_only_when_asked_to(
    device: Device, maker: Maker
) -> None:
    content = maker("1.0.0")
    device.install(content)
    assert roll_back(device.models, NAME, reason="it saw ghosts") == ("1.0.0", None)
    refused(device, content, "was rolled back on this device: it saw ghosts.*--again")
    assert device.install(content, again=True).version == "1.0.0"


def test_a_version_that_the_release_ships_is_no_news(device: Device, maker: Maker) -> None:
    content = maker("1.5.0")
    (device.models.folder / f"{NAME}-1.5.0.nsb").write_bytes(content)
    refused(device, maker("1.4.0"), r"is older.*limit 1\.5\.0, of the release")
    refused(device, content, "has a version that this device had already")
    assert device.install(maker("1.6.0")).version == "1.6.0"


BAD: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda b: b"", "ended before all of it had arrived"),
    "no zip": (lambda b: b"x" * 4000, "does not begin with its manifest"),
    "a begin only": (lambda b: b[:200], "ended before all of it had arrived"),
    "without its end": (lambda b: b[:-30], "cannot be read|too large"),
    "a half": (lambda b: b[: len(b) // 2], "cannot be read|too large"),
    "something after it": (lambda b: b + b"x" * 2**26, "larger than it says"),
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
    @settings(max_examples=60)
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
    device: Device, maker: Maker
) -> None:
    """Every eleventh byte, a bit of each."""
    device.settled(maker("1.0.0"))
    content, state = maker("1.1.0"), read_state(device.root / "store")
    wanted, harmless = hashlib.sha256(_manifest(content)).hexdigest(), 0
    for at in range(0, len(content), 11):
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
    assert harmless < len(content) / 11 / 10


def test_keys_that_are_wrong_missing_or_revoked_are_named(device: Device, maker: Maker) -> None:
    content = maker("1.0.0")
    device.install(content)
    revoke_key("forge", models=device.models, reason="laptop stolen")
    refused(device, maker("1.1.0"), "signed by 'forge', which was revoked.*laptop stolen")
    (device.models.folder / "keys/forge.pub").unlink()
    for key in device.keys.glob("*.pub"):
        key.unlink()
    (device.root / "shelf/keys/forge.pub").unlink(missing_ok=True)
    refused(device, maker("1.1.0"), "not signed by a trusted key.*nightscope key trust")


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


def test_another_instrument_s_pixel_size_is_refused_before_the_bundle_is_taken(
    device: Device, forge: Forge
) -> None:
    content = forge.write().read_bytes()  # the shipped classifier, for 0.45 to 0.55 µm
    words = refused(device, content, "is for another instrument's pixel size", pixel_sizes_um=[0.1])
    assert "0.1 µm here" in words
    assert device.install(content, pixel_sizes_um=[0.1, 0.5]).unchecked == ""


def test_without_settings_it_is_said_that_no_pixel_size_was_looked_at(
    device: Device, forge: Forge
) -> None:
    assert "pixel size" in device.install(forge.write().read_bytes()).unchecked


def test_nothing_is_installed_while_a_run_is_under_way(device: Device, maker: Maker) -> None:
    device.install(maker("1.0.0"))
    use = device.root / "store" / IN_USE
    use.write_text("/data/night")
    with locked(use, shared=True):
        refused(device, maker("1.1.0"), "while a run is under way; value /data/night")


def test_one_installs_at_a_time(device: Device, maker: Maker) -> None:
    device.install(maker("1.0.0"))
    with locked(device.root / "store" / INSTALLING):
        refused(device, maker("1.1.0"), "another model is being installed")


def test_a_transfer_that_broke_goes_on_where_it_was(device: Device, maker: Maker) -> None:
    content = maker("1.0.0")
    expected = Expected(sha256=hashlib.sha256(content).hexdigest(), size=len(content))
    assert already(expected, device.models) == 0
    with pytest.raises(TransferBroken, match=r"ended before all of it.*goes on from there"):
        device.install(content[:5000], expected=expected)
    have = already(expected, device.models)
    assert have == 5000
    assert device.install(content[have:], expected=expected).version == "1.0.0"


def test_a_part_that_rotted_is_found_out_and_begun_anew(device: Device, maker: Maker) -> None:
    content = maker("1.0.0")
    expected = Expected(sha256=hashlib.sha256(content).hexdigest(), size=len(content))
    with pytest.raises(TransferBroken):
        device.install(content[:9000], expected=expected)
    (part,) = (device.root / "store/incoming").glob("*.part")
    part.write_bytes(content[:8990] + bytes(255 - one for one in content[8990:9000]))
    refused(device, content[9000:], "arrived altered.*begins anew", expected=expected)
    assert device.install(content, expected=expected).version == "1.0.0"


@pytest.mark.parametrize("wrong", [{"sha256": "../../evil"}, {"size": 2**40}, {"size": 0}])
def test_what_is_offered_is_looked_at_before_a_file_is_named_after_it(wrong: Any) -> None:
    with pytest.raises(ModelRefused):
        Expected(**({"sha256": "0" * 64, "size": 1} | wrong))


def test_a_model_that_fails_its_self_test_is_refused(device: Device, maker: Maker) -> None:
    device.settled(maker("1.0.0"))

    def fails(path: Path, *, models: Any) -> Any:
        raise ModelRefused("the model is too slow on this device", value="p99 900 ms")

    with pytest.raises(ModelRefused, match="too slow"):
        device.install(maker("1.1.0"), examine=fails)
    assert device.version() == "1.0.0"


def test_a_full_disk_is_told_before_the_bundle_is_taken(
    device: Device, maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    device.settled(maker("1.0.0"))
    usage = shutil.disk_usage(device.root)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(
        DiskFull, match=r"no room for the bundle.*the model before is active"
    ) as full:
        device.install(maker("1.1.0"))
    assert full.value.exit_code == 7
    assert device.version() == "1.0.0"


def test_a_disk_that_fills_up_meanwhile_says_so_in_its_own_words(
    device: Device, maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    device.settled(maker("1.0.0"))

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull, match=r"no room left while installing.*install it again"):
        device.install(maker("1.1.0"))
    monkeypatch.undo()
    assert device.version() == "1.0.0"


def test_what_the_disk_did_not_keep_is_rolled_back_at_once(
    device: Device, maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    device.settled(maker("1.0.0"))
    monkeypatch.setattr(module, "hash_of", lambda path: "0" * 64)
    with pytest.raises(ModelRolledBack, match="was rolled back: the disk did not keep it") as back:
        device.install(maker("1.1.0"))
    assert back.value.exit_code == 8
    assert device.version() == "1.0.0"


def test_a_bundle_put_into_a_slot_by_hand_is_not_opened(device: Device, maker: Maker) -> None:
    device.install(maker("1.0.0"))
    shelf_of(device.models).installed[NAME].write_bytes(_other(maker, "1.0.0"))
    with pytest.raises(ModelRefused, match="is not the one that was installed there"):
        device.version()


@pytest.mark.parametrize("content", ["", "{}", "[", '{"sha256": "0", "state": {}}'])
def test_a_damaged_state_is_named_and_no_older_model_taken_in_silence(
    device: Device, maker: Maker, content: str
) -> None:
    device.install(maker("1.0.0"))
    (device.root / "store/state.json").write_text(content)
    with pytest.raises(ModelRefused, match=r"state\.json: is not as it was written"):
        device.version()


def test_a_store_that_cannot_be_is_named(device: Device, maker: Maker) -> None:
    (device.root / "store").mkdir(parents=True)
    (device.root / "store").rmdir()
    (device.root / "store").write_text("a file")
    with pytest.raises(ConfigRefused, match=r"store of models.*\[models\], or NIGHTSCOPE_STORE"):
        device.install(maker("1.0.0"))


def test_what_is_looked_at_is_what_is_installed(device: Device, maker: Maker) -> None:
    assert device.install(maker("1.0.0"), examine=looked_at).version == device.version()
