from __future__ import annotations

import hashlib
import io
import json
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from numpy.typing import NDArray

from runtime.config.settings import SHIPPED_MODELS
from runtime.inference.archive import MAX_BUNDLE_BYTES, open_archive
from runtime.inference.bundle import MANIFEST, SIGNATURE, Bundle, find_bundle, open_bundle
from runtime.tasks.registry import RECORDS


@pytest.fixture(scope="session")
def shipped() -> Bundle:
    path = find_bundle(SHIPPED_MODELS, "mussel-tissue")
    return open_bundle(path, keys=SHIPPED_MODELS / "keys", tasks=RECORDS)


@pytest.fixture(scope="session")
def choices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache that remembers what was measured of a bundle: the first who asks measures."""
    return tmp_path_factory.mktemp("choices")


@cache
def contents(bundle: Path) -> dict[str, bytes]:
    """Return every file of a bundle, by its name."""
    with open_archive(bundle) as archive:
        return {name: archive.read(name, most_bytes=MAX_BUNDLE_BYTES) for name in archive.sizes}


class Forge:
    """Rebuilds the shipped bundle with changes, signed by a key of its own that is trusted."""

    def __init__(self, folder: Path, source: Path) -> None:
        self.keys = folder / "keys"
        self.keys.mkdir()
        self._key = Ed25519PrivateKey.generate()
        public = self._key.public_key().public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        )
        (self.keys / "forge.pub").write_bytes(public)
        self.out = folder / "forged.nsb"
        self.files = dict(contents(source))
        self.manifest: dict[str, Any] = json.loads(self.files.pop(MANIFEST))
        del self.files[SIGNATURE]
        # The same whichever version ships: tests name it.
        self.manifest["version"] = "1.0.0"

    def replace_array(self, name: str, array: NDArray[Any]) -> None:
        """Put another array in, and list it as the manifest does."""
        buffer = io.BytesIO()
        np.save(buffer, array)
        self.files[name] = buffer.getvalue()
        self.relist(name)

    def relist(self, name: str) -> None:
        """Have the manifest say of a file what is true of it."""
        data = self.files[name]
        digest = hashlib.sha256(data).hexdigest()
        self.manifest["files"][name] = {"size": len(data), "sha256": digest}

    def write(self, *, signature: bytes | None = None, coding: int = zipfile.ZIP_STORED) -> Path:
        content = json.dumps(self.manifest).encode()
        signed = self._key.sign(content) if signature is None else signature
        with zipfile.ZipFile(self.out, "w", coding) as archive:
            for name, data in {MANIFEST: content, SIGNATURE: signed, **self.files}.items():
                archive.writestr(name, data)
        return self.out


@pytest.fixture
def forge(tmp_path: Path, shipped: Bundle) -> Forge:
    return Forge(tmp_path, shipped.path)
