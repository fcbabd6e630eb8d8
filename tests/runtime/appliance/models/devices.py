"""A device to install models on, and bundles to install, made in milliseconds."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from runtime.appliance.models.examination import Examined
from runtime.appliance.models.install import Installed, install
from runtime.appliance.models.trials import confirm
from runtime.config.settings import ModelsSection
from runtime.errors import ModelRefused
from runtime.inference.bundle import Bundle, open_bundle
from runtime.inference.shelf import shelf_of
from runtime.inference.store import read_state
from runtime.instant import Instant
from runtime.tasks.registry import RECORDS

NAME = "strip-match"
DAY_S = 86_400.0


@dataclass
class SetClock:
    """A clock that says what it is told to."""

    boot_id: str = "boot"
    wall_s: float = 1.8e9

    def now_s(self) -> float:
        return self.wall_s

    def instant(self) -> Instant:
        return Instant(boot_id=self.boot_id, monotonic_s=self.wall_s - 1.7e9, wall_s=self.wall_s)

    def sleep(self, *, duration_s: float) -> None:
        self.wall_s += duration_s


def looked_at(path: Path, *, models: ModelsSection) -> Examined:
    """Open a bundle as the device would, without running it."""
    bundle = open_bundle(path, keys=shelf_of(models).keyring, tasks=RECORDS)
    about = bundle.manifest
    return Examined(
        name=about.name,
        version=about.version,
        digest=bundle.digest,
        signed_by=bundle.signed_by,
        key=bundle.key,
        task=about.task.kind,
        runs_as="onnxruntime fp32 together",
        p99_ms=1.0,
    )


@dataclass
class Device:
    """A store, a shelf without models, and a clock."""

    root: Path
    keys: Path
    clock: SetClock = field(default_factory=SetClock)
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def models(self) -> ModelsSection:
        shelf = self.root / "shelf"
        (shelf / "keys").mkdir(parents=True, exist_ok=True)
        for key in self.keys.glob("*.pub"):
            (shelf / "keys" / key.name).write_bytes(key.read_bytes())
        return ModelsSection(
            folder=shelf, store=self.root / "store", cache=self.root / "cache", **self.options
        )

    def install(self, content: bytes, **options: Any) -> Installed:
        """Install a bundle as `install` does, looked at and not run."""
        given = {"models": self.models, "clock": self.clock, "examine": looked_at, **options}
        return install(io.BytesIO(content), **given)

    def settled(self, content: bytes) -> str:
        """Install a bundle and confirm it; return its version."""
        self.install(content)
        return confirm(self.models, NAME)

    def active(self) -> Bundle:
        """Return the model that every verb would open, verified."""
        shelf = shelf_of(self.models)
        return open_bundle(shelf.find(NAME), keys=shelf.keyring, tasks=RECORDS)

    def version(self) -> str:
        """Return which one that is."""
        return self.active().manifest.version


def refused(device: Device, content: bytes, match: str, **options: Any) -> str:
    """Return how a bundle is refused; what was active is active then, and nothing else is left."""
    before = read_state(device.root / "store")
    with pytest.raises(ModelRefused, match=match) as caught:
        device.install(content, **options)
    assert read_state(device.root / "store") == before
    assert not list((device.root / "store/incoming").glob("*"))
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(caught.value.remedy)
    return message
