"""Ed25519 keys and signatures for bundles. The private key never enters the repository."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from runtime.errors import ConfigRefused


def make_key(path: Path) -> Path:
    """Write a new private key (PEM, readable by its owner alone) and return its public key's path.

    Raises ConfigRefused when the file exists: a key is never overwritten.
    """
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigRefused(f"key {path} exists", remedy="choose another --out") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(private)
    public = path.with_suffix(".pub")
    public.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return public


def sign(content: bytes, key: Path) -> bytes:
    """Return the 64-byte signature; raises ConfigRefused when the key cannot be used."""
    try:
        private = serialization.load_pem_private_key(key.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigRefused(
            f"key {key} cannot be read: {error}", remedy="make one with 'nightscope export key'"
        ) from None
    if not isinstance(private, Ed25519PrivateKey):
        raise ConfigRefused(f"key {key} is no Ed25519 key", remedy="make one with 'export key'")
    return private.sign(content)
