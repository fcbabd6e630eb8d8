"""The head of a bundle that is still arriving: its signature is asked before the rest is taken.

A bundle is a zip file whose first two members are its manifest and its signature
(https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, section 4.3.7). Only their two local
headers are read here; what follows is read from the whole file, by `runtime/inference/archive.py`.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from runtime.errors import ModelRefused
from runtime.inference.bundle import (
    MANIFEST,
    MAX_MANIFEST_BYTES,
    MAX_SIGNATURE_BYTES,
    SIGNATURE,
    TAMPERED,
)

LOCAL, SIGN = struct.Struct("<4s5H3L2H"), b"PK\x03\x04"
STORED, DEFLATED = 0, 8
ENCRYPTED, SIZE_COMES_LATER = 1, 8
EXTRA_BYTES = 2**10
MOST_BYTES = MAX_MANIFEST_BYTES + MAX_SIGNATURE_BYTES + 2 * (LOCAL.size + EXTRA_BYTES)
"""No head is longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleHead:
    """What stands first in a bundle: the bytes of its manifest, and the signature over them."""

    manifest: bytes
    signature: bytes


def read_head(begun: bytes, *, bundle: str) -> BundleHead | None:
    """Return the head of a bundle of which `begun` has arrived, None while that is too little.

    Raises ModelRefused for what does not begin as a bundle does.
    """
    first = _member(begun, 0, MANIFEST, MAX_MANIFEST_BYTES, bundle)
    if first is None:
        return None
    manifest, at = first
    second = _member(begun, at, SIGNATURE, MAX_SIGNATURE_BYTES, bundle)
    return None if second is None else BundleHead(manifest=manifest, signature=second[0])


def _member(
    begun: bytes, at: int, wanted: str, most_bytes: int, bundle: str
) -> tuple[bytes, int] | None:
    """Return the content of the member that begins at a byte, and where the next one does."""
    shown = begun[at : at + len(SIGN)]
    if shown != SIGN[: len(shown)]:
        raise _no_bundle(bundle, f"byte {at} begins with {shown!r}")
    if len(begun) < at + LOCAL.size:
        return None
    _, _, flags, coding, _, _, checksum, packed, size, named, extra = LOCAL.unpack_from(begun, at)
    name_at = at + LOCAL.size
    if packed > most_bytes or size > most_bytes or named != len(wanted) or extra > EXTRA_BYTES:
        raise _no_bundle(bundle, f"{wanted} of {size} bytes, packed {packed}, is not its begin")
    if flags & (ENCRYPTED | SIZE_COMES_LATER) or coding not in (STORED, DEFLATED):
        raise _no_bundle(bundle, f"{wanted} is packed in a way that bundles are not")
    content_at = name_at + named + extra
    if len(begun) < content_at + packed:
        return None
    if begun[name_at : name_at + named] != wanted.encode():
        raise _no_bundle(bundle, f"{begun[name_at : name_at + named]!r} in place of {wanted}")
    content = _unpacked(begun[content_at : content_at + packed], coding, most_bytes, bundle)
    if len(content) != size or zlib.crc32(content) != checksum:
        raise _no_bundle(bundle, f"{wanted} is damaged")
    return content, content_at + packed


def _unpacked(packed: bytes, coding: int, most_bytes: int, bundle: str) -> bytes:
    if coding == STORED:
        return packed
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, most_bytes)
    except zlib.error as error:
        raise _no_bundle(bundle, str(error)) from None


def _no_bundle(bundle: str, found: str) -> ModelRefused:
    return ModelRefused(
        f"bundle {bundle} does not begin with its manifest and signature",
        value=found,
        limit=f"{MANIFEST}, then {SIGNATURE}",
        remedy=TAMPERED,
    )
