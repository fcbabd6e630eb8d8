"""Which quantiser this is, so that what another one made is not taken for this one's."""

from __future__ import annotations

import hashlib
from pathlib import Path

import onnxruntime

HERE = Path(__file__).parent


def quantiser_digest(sources: Path = HERE) -> str:
    """Return the SHA-256 of a package's sources and ONNX Runtime's release, in hexadecimal."""
    digest = hashlib.sha256(onnxruntime.__version__.encode())
    for path in sorted(sources.rglob("*.py")):
        digest.update(path.relative_to(sources).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
