from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.runtime.appliance.models.devices import Device
from tests.runtime.inference import tiny_match as tiny

if TYPE_CHECKING:
    Forge = Any


@pytest.fixture
def maker(forge: Forge) -> Callable[..., bytes]:
    """Return what packs a small signed bundle of a version, with changes to its manifest."""
    tiny.into_matcher(forge)

    def pack(version: str, **changes: Any) -> bytes:
        forge.manifest |= {"version": version, "budgets_ms": {"match": 1e6}} | changes
        return bytes(forge.write().read_bytes())

    return pack


@pytest.fixture
def device(forge: Forge, tmp_path: Path) -> Device:
    return Device(root=tmp_path / "device", keys=forge.keys)
