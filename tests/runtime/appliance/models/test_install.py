"""How models come onto a device: what is refused, in which words, and what is active then."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runtime.appliance.models import install as module
from runtime.appliance.models.incoming import Expected, TransferBroken
from runtime.appliance.models.install import already, install
from runtime.appliance.models.keys import revoke_key
from runtime.appliance.models.ledger import IN_USE, INSTALLING, locked
from runtime.appliance.models.patient_input import PatientInput
from runtime.appliance.models.trials import roll_back
from runtime.errors import ConfigRefused, DiskFull, ModelRefused, ModelRolledBack
from runtime.inference.shelf import shelf_of
from runtime.inference.store import read_state
from tests.runtime.appliance.models.devices import NAME, Device, looked_at, refused

if TYPE_CHECKING:
    Forge = Any
Maker = Callable[..., bytes]


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


def test_a_sender_that_is_gone_without_a_word_is_given_up(device: Device, maker: Maker) -> None:
    content = maker("1.0.0")
    expected = Expected(sha256=hashlib.sha256(content).hexdigest(), size=len(content))
    reading, writing = os.pipe()
    os.write(writing, content[:5000])
    with pytest.raises(TransferBroken, match="value 5000 bytes"):
        install(
            PatientInput(reading, stall_s=0.01),
            models=device.models,
            clock=device.clock,
            expected=expected,
        )
    os.close(reading)
    os.close(writing)
    assert already(expected, device.models) == 5000


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
