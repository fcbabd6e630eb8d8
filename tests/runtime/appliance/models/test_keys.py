"""Keys: the private half never on a device, the public ones trusted and revoked."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runtime.appliance.models.keys import (
    known_keys,
    new_key,
    private_key,
    revoke_bundle,
    revoke_key,
    trust_key,
)
from runtime.errors import ConfigRefused, ModelRefused
from runtime.inference.shelf import shelf_of
from runtime.inference.store import read_state
from tests.runtime.appliance.models.devices import NAME, Device

if TYPE_CHECKING:
    Forge = Any
Maker = Callable[..., bytes]


def test_a_pair_is_made_the_private_half_for_its_owner_alone(
    device: Device, tmp_path: Path
) -> None:
    out = tmp_path / "mine/signing.pem"
    public = new_key(out, passphrase="", models=device.models)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    signed = private_key(out, passphrase="").sign(b"manifest")
    trusted = trust_key(public, models=device.models)
    assert trusted.name == "signing"
    key = private_key(out, passphrase="").public_key()
    key.verify(signed, b"manifest")
    with pytest.raises(ConfigRefused, match="exists"):
        new_key(out, passphrase="", models=device.models)


def test_a_passphrase_is_wanted_to_sign(device: Device, tmp_path: Path) -> None:
    out = tmp_path / "signing.pem"
    new_key(out, passphrase="correct horse", models=device.models)
    assert b"ENCRYPTED" in out.read_bytes()
    private_key(out, passphrase="correct horse")
    for wrong in ("", "incorrect horse"):
        with pytest.raises(ConfigRefused, match=r"cannot be read.*passphrase"):
            private_key(out, passphrase=wrong)
    with pytest.raises(ConfigRefused, match="too short"):
        new_key(tmp_path / "other.pem", passphrase="short", models=device.models)


def test_a_key_that_others_can_read_signs_nothing(device: Device, tmp_path: Path) -> None:
    out = tmp_path / "signing.pem"
    new_key(out, passphrase="", models=device.models)
    out.chmod(0o644)
    with pytest.raises(ConfigRefused, match="can be read by others; value mode 644; limit 600"):
        private_key(out, passphrase="")


@pytest.mark.parametrize("place", ["store/signing.pem", "store/keys/a.pem", "shelf/keys/a.pem"])
def test_no_private_key_is_made_on_a_device(device: Device, place: str) -> None:
    with pytest.raises(ConfigRefused, match="a private key must not lie on a device"):
        new_key(device.root / place, passphrase="", models=device.models)
    assert not (device.root / place).exists()


def test_a_private_key_is_not_trusted_but_named(device: Device, tmp_path: Path) -> None:
    out = tmp_path / "signing.pem"
    new_key(out, passphrase="", models=device.models)
    with pytest.raises(ModelRefused, match=r"is a private key.*take it off this device"):
        trust_key(out, models=device.models)


def test_what_is_no_key_is_told_what_one_is(device: Device, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("[stage]\n")
    with pytest.raises(
        ModelRefused, match=r"no public key .*; limit Ed25519 as PEM: the \.pub file"
    ):
        trust_key(file, models=device.models)


def test_what_a_trusted_key_signed_can_be_installed(
    device: Device, maker: Maker, tmp_path: Path
) -> None:
    content = maker("1.0.0")
    moved = tmp_path / "forge.pub"
    (device.keys / "forge.pub").rename(moved)
    (device.root / "shelf/keys").mkdir(parents=True)
    with pytest.raises(ModelRefused, match="not signed by a trusted key"):
        device.install(content)
    trust_key(moved, models=device.models, name="anna")
    assert device.install(content).version == "1.0.0"
    assert [key.name for key in known_keys(device.models)] == ["anna"]
    assert device.active().signed_by == "anna"


def test_a_name_is_one_key_s(device: Device, tmp_path: Path) -> None:
    public = new_key(tmp_path / "forge.pem", passphrase="", models=device.models)
    with pytest.raises(ModelRefused, match="another key is called 'forge' already"):
        trust_key(public, models=device.models)
    for bad in ("../evil", ".", "a/b", "a b"):
        with pytest.raises(ModelRefused, match="is no name for a key"):
            trust_key(public, models=device.models, name=bad)


def test_a_revoked_key_takes_its_models_with_it(
    device: Device, maker: Maker, tmp_path: Path
) -> None:
    device.settled(maker("1.0.0"))
    gone = revoke_key("forge", models=device.models, reason="laptop stolen")
    slots = read_state(device.root / "store").model(NAME)
    assert slots.active is None
    assert NAME not in shelf_of(device.models).installed
    (key,) = known_keys(device.models)
    assert (key.fingerprint, key.revoked) == (gone.fingerprint, "laptop stolen")
    with pytest.raises(ModelRefused, match="was revoked on this device: laptop stolen"):
        trust_key(device.keys / "forge.pub", models=device.models, name="again")


def test_a_revoked_bundle_goes_back_and_does_not_come_again(device: Device, maker: Maker) -> None:
    device.settled(maker("1.0.0"))
    bad = maker("1.1.0")
    device.install(bad)
    revoke_bundle(f"{NAME}-1.1.0", models=device.models, reason="sees ghosts")
    assert device.version() == "1.0.0"
    with pytest.raises(ModelRefused, match="was revoked on this device: sees ghosts"):
        device.install(bad, again=True)
    assert device.install(maker("1.2.0")).version == "1.2.0"


def test_a_bundle_of_the_release_can_be_revoked(device: Device, maker: Maker) -> None:
    (device.models.folder / f"{NAME}-1.0.0.nsb").write_bytes(maker("1.0.0"))
    assert device.version() == "1.0.0"
    revoke_bundle(NAME, models=device.models, reason="sees ghosts")
    with pytest.raises(ModelRefused, match="was revoked on this device: sees ghosts"):
        device.version()


def test_a_key_that_is_not_meant_clearly_is_not_revoked(device: Device) -> None:
    with pytest.raises(ModelRefused, match="no key is called 'bob'; limit forge"):
        revoke_key("bob", models=device.models, reason="")
