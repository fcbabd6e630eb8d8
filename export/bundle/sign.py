"""Ed25519 signatures for bundles. The private key never enters the repository."""

from __future__ import annotations

from pathlib import Path

from runtime.appliance.models.keys import is_encrypted, private_key
from runtime.cli.commands.key import asked_passphrase


def sign(content: bytes, key: Path) -> bytes:
    """Return the 64-byte signature; of an encrypted key the passphrase is that of
    NIGHTSCOPE_PASSPHRASE, or asked for. Raises ConfigRefused when the key cannot be used.
    """
    secret = asked_passphrase() if is_encrypted(key) else ""
    return private_key(key, passphrase=secret).sign(content)
