"""Keys: an engineer's private half, made and kept off the device, and the public ones it trusts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from runtime.appliance.models.ledger import change, make_inside, make_store, without_disbelieved
from runtime.config.settings import ModelsSection
from runtime.errors import ConfigRefused, ModelRefused
from runtime.inference.shelf import shelf_of
from runtime.inference.signature import MOST_BYTES, fingerprint, load_public_key
from runtime.inference.store import KEYS, StoreState, read_state
from runtime.plain_file import read_plain
from runtime.record.storage import make_folder, sync_folder, write_durably

PRIVATE, ENCRYPTED = b"PRIVATE KEY", b"ENCRYPTED"
SHIPPED, HERE = "with the release", "on this device"
SHORTEST = 8
"""Characters of a passphrase."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownKey:
    """A public key that the device knows: `where` it was trusted, and in `revoked` why it is
    believed no more.
    """

    name: str
    fingerprint: str
    where: str
    revoked: str = ""


def new_key(out: Path, *, passphrase: str, models: ModelsSection) -> Path:
    """Write a new private key (PEM, readable by its owner alone; encrypted, unless the passphrase
    is empty) and its public half beside it; return that.

    Raises ConfigRefused for a place on a device's store or among its models, for a file that is
    there, which is never overwritten, and for a passphrase that is too short.
    """
    _refuse_device(out, models)
    if 0 < len(passphrase) < SHORTEST:
        raise ConfigRefused(
            "the passphrase is too short",
            value=f"{len(passphrase)} characters",
            limit=f"{SHORTEST} characters",
            remedy="take a longer one",
        )
    public = out.with_suffix(".pub")
    if public.exists():
        raise ConfigRefused(f"key {public} exists", remedy="choose another --out")
    how: KeySerializationEncryption = (
        BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    )
    key = Ed25519PrivateKey.generate()
    make_folder(out.parent)
    try:
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigRefused(f"key {out} exists", remedy="choose another --out") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how))
    write_durably(
        public, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return public


def is_encrypted(path: Path) -> bool:
    """Return whether a private key wants a passphrase. Raises ConfigRefused for no such file."""
    content = read_plain(path, what="key", most_bytes=MOST_BYTES, refuse=ConfigRefused)
    return ENCRYPTED in content


def private_key(path: Path, *, passphrase: str) -> Ed25519PrivateKey:
    """Return the key to sign with. Raises ConfigRefused when it cannot be used, also for one that
    others may read.
    """
    content = read_plain(path, what="key", most_bytes=MOST_BYTES, refuse=ConfigRefused)
    if path.stat().st_mode & 0o077 and ENCRYPTED not in content:
        raise ConfigRefused(
            f"key {path} can be read by others",
            value=f"mode {path.stat().st_mode & 0o777:o}",
            limit="600",
            remedy=f"chmod 600 {path}; if others did read it, revoke it and make a new one",
        )
    try:
        key = load_pem_private_key(content, password=passphrase.encode() or None)
    except (ValueError, TypeError) as error:
        raise ConfigRefused(
            f"key {path} cannot be read: {error}",
            remedy="give its passphrase, or make one with `nightscope key new`",
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigRefused(
            f"key {path} is no Ed25519 key", remedy="make one with `nightscope key new`"
        )
    return key


def known_keys(models: ModelsSection) -> list[KnownKey]:
    """Return every key that the device trusts or has revoked. Raises ModelRefused for a key file
    that is none, and where the store is damaged.
    """
    shelf = shelf_of(models)
    known = [
        KnownKey(
            name=file.stem,
            fingerprint=(mark := fingerprint(load_public_key(file))),
            where=SHIPPED if file.parent == models.keyring else HERE,
            revoked=shelf.state.revoked_keys.get(mark, ""),
        )
        for file in shelf.keyring.files
    ]
    there = {key.fingerprint for key in known}
    gone = shelf.state.revoked_keys.items()
    return known + [
        KnownKey(name="", fingerprint=mark, where="", revoked=why)
        for mark, why in gone
        if mark not in there
    ]


def trust_key(file: Path, *, models: ModelsSection, name: str = "") -> KnownKey:
    """Have the device trust the public key in a file, by its name or another; return it.

    Raises ModelRefused for a private key, which must never lie on a device, for anything else that
    is no public key, for one that was revoked, and for a name that another key has.
    """
    content = read_plain(file, what="public key", most_bytes=MOST_BYTES, refuse=ModelRefused)
    if PRIVATE in content:
        raise ModelRefused(
            f"{file} is a private key",
            remedy="take it off this device; trust its public half, the .pub file beside it",
        )
    key = load_public_key(file)
    mark, called = fingerprint(key), name or file.stem
    store = make_store(models.store)
    known = known_keys(models)
    for other in known:
        if other.fingerprint == mark and other.revoked:
            raise ModelRefused(
                f"key {called!r} was revoked on this device: {other.revoked}",
                remedy="have its owner make a new one: `nightscope key new`",
            )
        if other.fingerprint == mark:
            return other
        if other.name == called:
            raise ModelRefused(
                f"another key is called {called!r} already",
                value=mark[:16],
                limit=other.fingerprint[:16],
                remedy="name it otherwise: --name",
            )
    _write_key(store, called, key)
    return KnownKey(name=called, fingerprint=mark, where=HERE)


def _write_key(store: Path, name: str, key: Ed25519PublicKey) -> None:
    if not name.replace("-", "").replace("_", "").replace(".", "").isalnum() or name[0] == ".":
        raise ModelRefused(
            f"{name!r} is no name for a key", limit="letters, digits, - _ .", remedy="give a --name"
        )
    make_inside(store / KEYS)
    content = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    write_durably(store / KEYS / f"{name}.pub", content)


def revoke_key(which: str, *, models: ModelsSection, reason: str) -> KnownKey:
    """Believe a key no more, by its name or the beginning of its fingerprint; return it. A model
    signed with it that was active goes back to the version before, or to the release's.

    Raises ModelRefused when none or several are meant.
    """
    store = make_store(models.store)
    meant = [
        key
        for key in known_keys(models)
        if key.name == which or (len(which) >= 8 and key.fingerprint.startswith(which))
    ]
    if len({key.fingerprint for key in meant}) != 1:
        raise ModelRefused(
            f"{len(meant)} keys are meant by {which!r}" if meant else f"no key is called {which!r}",
            limit=", ".join(key.name or key.fingerprint[:16] for key in known_keys(models)),
            remedy="`nightscope key list` shows names and fingerprints",
        )
    key = meant[0]

    def work(state: StoreState) -> StoreState:
        gone = {**state.revoked_keys, key.fingerprint: reason}
        state = state.model_copy(update={"revoked_keys": gone})
        return without_disbelieved(state, reason=f"its key '{key.name}' was revoked: {reason}")

    change(store, work)
    own = store / KEYS / f"{key.name}.pub"
    if key.name and own.is_file():
        own.unlink()
        sync_folder(own.parent)
    return key


def revoke_bundle(which: str, *, models: ModelsSection, reason: str) -> str:
    """Believe a bundle no more, by "name-version" of one that is installed or shipped, or by the
    digest of its manifest; return that. If it was active, the model goes back.

    Raises ModelRefused when none is meant.
    """
    store = make_store(models.store)
    digest = next(_digests(which, models), None)
    if digest is None:
        raise ModelRefused(
            f"no bundle is meant by {which!r}",
            remedy="give a file, name-version of one that is here, or a digest of 64 digits",
        )

    def work(state: StoreState) -> StoreState:
        gone = {**state.revoked_bundles, digest: reason}
        state = state.model_copy(update={"revoked_bundles": gone})
        return without_disbelieved(state, reason=f"it was revoked: {reason}")

    change(store, work)
    return digest


def _digests(which: str, models: ModelsSection) -> Iterator[str]:
    from runtime.inference.bundle import open_bundle
    from runtime.tasks.registry import RECORDS

    if len(which) == 64 and not set(which) - set("0123456789abcdef"):
        yield which
    state = StoreState() if models.store is None else read_state(models.store)
    for name, slots in state.models.items():
        for bundle in slots.slots.values():
            if which == f"{name}-{bundle.version}":
                yield bundle.digest
    shelf = shelf_of(models)
    path = shelf.find(which)
    yield open_bundle(path, keys=shelf.keyring, tasks=RECORDS).digest


def _refuse_device(out: Path, models: ModelsSection) -> None:
    place = out.expanduser().resolve()
    homes = [one.resolve() for one in (models.store, models.folder, models.keyring) if one]
    for home in homes:
        if place.is_relative_to(home):
            raise ConfigRefused(
                "a private key must not lie on a device",
                value=str(place),
                limit=f"outside {home}",
                remedy="make it on the engineer's own computer",
            )
