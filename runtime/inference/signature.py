"""Ed25519 signatures over manifests: which keys are trusted, and whether one of them signed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import ModelRefused
from runtime.plain_file import read_plain

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

MOST_BYTES = 2**16


def check_signature(content: bytes, signature: bytes, *, keys: Path, bundle: str) -> str:
    """Return the name of the trusted key that signed `content`.

    `keys` is a folder of PEM public keys, *.pub. Raises ModelRefused when none of them did.
    """
    from cryptography.exceptions import InvalidSignature

    trusted = sorted(keys.glob("*.pub"))
    for path in trusted:
        try:
            _load(path).verify(signature, content)
        except InvalidSignature:
            continue
        return path.stem
    raise ModelRefused(
        f"bundle {bundle} is not signed by a trusted key",
        value=f"{len(trusted)} keys tried",
        limit=f"public keys in {keys}",
        remedy="do not install it; or name a folder with its maker's public key in NIGHTSCOPE_KEYS",
    )


def _load(path: Path) -> Ed25519PublicKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    content = read_plain(path, what="public key", most_bytes=MOST_BYTES, refuse=ModelRefused)
    try:
        key = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ModelRefused(
            f"public key {path} cannot be read: {error}", remedy="remove it, or copy it again"
        ) from None
    if not isinstance(key, Ed25519PublicKey):
        raise ModelRefused(f"public key {path} is no Ed25519 key", remedy="remove it")
    return key
