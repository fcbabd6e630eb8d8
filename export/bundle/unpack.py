"""A packed bundle back to the artefacts it came from, so that a part of it can be made anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from export.bundle.artefacts import Artefacts
from runtime.inference.archive import MAX_BUNDLE_BYTES, Archive, open_archive
from runtime.inference.bundle import (
    MANIFEST,
    MAX_MANIFEST_BYTES,
    MAX_SIGNATURE_BYTES,
    SIGNATURE,
)
from runtime.inference.signature import check_signature
from runtime.plain_file import array_of

# What packing finds out; all else of a manifest comes from training.
FOUND_OUT = ("format", "files")


def unpack(path: Path, *, keys: Path) -> Artefacts:
    """Return the artefacts of a bundle that a key of `keys` signed, its task's record unread: it
    may be one that this release no longer runs.

    Raises ModelRefused for one that is damaged or was not signed.
    """
    with open_archive(path) as archive:
        content = archive.read(MANIFEST, most_bytes=MAX_MANIFEST_BYTES)
        signature = archive.read(SIGNATURE, most_bytes=MAX_SIGNATURE_BYTES)
        check_signature(content, signature, keys=keys, bundle=str(path))
        return _artefacts(json.loads(content), archive)


def _artefacts(manifest: dict[str, Any], archive: Archive) -> Artefacts:
    def read(name: str) -> bytes:
        return archive.read(name, most_bytes=MAX_BUNDLE_BYTES)

    networks, golden, origin = (manifest[key] for key in ("networks", "golden", "origin"))
    models = networks["models"]
    about = {key: value for key, value in manifest.items() if key not in FOUND_OUT} | {
        "networks": {k: v for k, v in networks.items() if k not in ("models", "ir")},
        "golden": {"tolerance": golden["tolerance"]},
        "origin": {key: value for key, value in origin.items() if key != "card"},
    }
    arrays = [n for n in manifest["files"] if n.endswith(".npy") and "/" not in n]
    return Artefacts(
        about=about,
        fp32=read(models["fp32"]) if "fp32" in models else None,
        int8=read(models["int8"]),
        golden=[[array_of(read(n)) for n in one["pictures"]] for one in golden["examples"]],
        arrays={name: array_of(read(name)) for name in arrays},
        card=read(origin["card"]).decode(),
    )
