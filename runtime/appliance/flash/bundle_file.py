"""The bundle that is to be sent: what it says it is, and what the other end shall receive."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from runtime.appliance.models.head import MOST_BYTES, read_head
from runtime.appliance.models.incoming import Expected
from runtime.errors import ModelRefused
from runtime.inference.archive import MAX_BUNDLE_BYTES
from runtime.plain_file import opened, refuse_larger
from runtime.record.storage import hash_of


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleFile:
    """A bundle by its file; whether it is to be believed, the device says."""

    path: Path
    name: str
    version: str
    expected: Expected


def look_at(path: Path) -> BundleFile:
    """Return what a bundle says of itself. Raises ModelRefused for a file that is no bundle."""
    with opened(path, what="bundle", refuse=ModelRefused) as (file, size):
        refuse_larger(path, size, what="bundle", most_bytes=MAX_BUNDLE_BYTES, refuse=ModelRefused)
        head = read_head(file.read(MOST_BYTES), bundle=str(path))
    try:
        if head is None:
            raise ValueError("it ends before its signature")
        about = json.loads(head.manifest)
        name, version = str(about["name"]), str(about["version"])
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise ModelRefused(
            f"bundle {path} cannot be read: {error}",
            remedy="send one made by 'nightscope export pack'",
        ) from None
    return BundleFile(
        path=path, name=name, version=version, expected=Expected(sha256=hash_of(path), size=size)
    )
