"""Ed25519 signatures over manifests: which keys are trusted, and whether one of them signed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import ModelRefused
from runtime.plain_file import read_plain

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

MOST_BYTES = 2**16
DISTRUST = (
    "do not install it; or trust its maker's public key: `nightscope key trust FILE`, or a folder "
    "of keys in NIGHTSCOPE_KEYS"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """A key by the name of its file, and by its fingerprint, which no other key has."""

    name: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyring:
    """What a device believes: the `files` of public keys that it trusts, and what it does not
    although they did sign: `revoked_keys` by fingerprint and `revoked_bundles` by digest, each with
    the reason. `installed` holds the digest that the bundle in a file must have.
    """

    files: tuple[Path, ...]
    revoked_keys: Mapping[str, str] = field(default_factory=dict[str, str])
    revoked_bundles: Mapping[str, str] = field(default_factory=dict[str, str])
    installed: Mapping[Path, str] = field(default_factory=dict[Path, str])

    @classmethod
    def of(cls, keys: Path | Keyring) -> Keyring:
        """Return a keyring: all public keys (*.pub) of a folder, or what is one already."""
        return keys if isinstance(keys, Keyring) else cls(files=tuple(sorted(keys.glob("*.pub"))))

    @property
    def where(self) -> str:
        """Return in words where its keys lie."""
        folders = dict.fromkeys(str(file.parent) for file in self.files)
        return f"public keys in {', '.join(folders)}" if folders else "no public key is trusted"

    def trusted(self) -> list[Path]:
        """Return the files of the keys that were not revoked."""
        return [
            file
            for file in self.files
            if fingerprint(load_public_key(file)) not in self.revoked_keys
        ]

    def check_bundle(self, path: Path, digest: str) -> None:
        """Raise ModelRefused for a bundle that was revoked, or that is not what was installed in
        its place.
        """
        if digest in self.revoked_bundles:
            raise ModelRefused(
                f"bundle {path} was revoked on this device: {self.revoked_bundles[digest]}",
                remedy="install a newer version of the model",
            )
        wanted = self.installed.get(path)
        if wanted is not None and wanted != digest:
            raise ModelRefused(
                f"bundle {path}: is not the one that was installed there",
                value=f"digest {digest[:16]}",
                limit=wanted[:16],
                remedy="`nightscope model rollback` the model, or install a newer version",
            )


def check_signature(
    content: bytes, signature: bytes, *, keys: Path | Keyring, bundle: str
) -> Signer:
    """Return the trusted key that signed `content`.

    `keys` is a folder of PEM public keys, *.pub, or a device's keyring. Raises ModelRefused when
    none of them did, or one that was revoked.
    """
    from cryptography.exceptions import InvalidSignature

    keyring = Keyring.of(keys)
    for path in keyring.files:
        key = load_public_key(path)
        try:
            key.verify(signature, content)
        except InvalidSignature:
            continue
        signer = Signer(name=path.stem, fingerprint=fingerprint(key))
        if signer.fingerprint in keyring.revoked_keys:
            raise ModelRefused(
                f"bundle {bundle} is signed by '{signer.name}', which was revoked on this device",
                value=keyring.revoked_keys[signer.fingerprint],
                remedy="get it from its maker again, signed with another key",
            )
        return signer
    raise ModelRefused(
        f"bundle {bundle} is not signed by a trusted key",
        value=f"{len(keyring.files)} keys tried",
        limit=keyring.where if keyring.files or isinstance(keys, Keyring) else f"none in {keys}",
        remedy=DISTRUST,
    )


def load_public_key(path: Path) -> Ed25519PublicKey:
    """Return the Ed25519 public key of a PEM file. Raises ModelRefused for anything else."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    content = read_plain(path, what="public key", most_bytes=MOST_BYTES, refuse=ModelRefused)
    try:
        key = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise ModelRefused(
            f"{path} is no public key of a maker of models",
            limit="Ed25519 as PEM: the .pub file that `nightscope key new` writes",
            remedy="name that file, or take this one away from the keys",
        )
    return key


def fingerprint(key: Ed25519PublicKey) -> str:
    """Return the SHA-256 of a key's 32 bytes, whatever the file around it is called."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()
