"""The models of a device: those that come with a release, and those that were installed since."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.config.settings import ModelsSection
from runtime.inference.bundle import find_bundle, list_bundles
from runtime.inference.signature import Keyring
from runtime.inference.store import KEYS, StoreState, read_state, slot_file
from runtime.inference.task import Records


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShelf:
    """Where the settings keep models, and what the store says."""

    models: ModelsSection
    state: StoreState

    @property
    def installed(self) -> dict[str, Path]:
        """Return the file of the active bundle of every model that was installed."""
        store = self.models.store
        if store is None:
            return {}
        return {
            name: slot_file(store, name, slots.active, slots.slots[slots.active])
            for name, slots in self.state.models.items()
            if slots.active is not None
        }

    @property
    def keyring(self) -> Keyring:
        """Return what every verb checks bundles with: keys of the configuration and of the store,
        never one that came beside a bundle, of which it could only say what that says of itself.
        """
        store = self.models.store
        own = () if store is None else sorted((store / KEYS).glob("*.pub"))
        return Keyring(
            files=(*sorted(self.models.keyring.glob("*.pub")), *own),
            revoked_keys=self.state.revoked_keys,
            revoked_bundles=self.state.revoked_bundles,
            installed={
                path: slots.kept.digest
                for name, path in self.installed.items()
                if (slots := self.state.models[name]).kept is not None
            },
        )

    def find(self, name: str) -> Path:
        """Return the bundle meant by a file path, by "name-version", or by a name: its newest
        version, of the shelf or installed.

        Raises ModelRefused listing what there is.
        """
        return find_bundle(self.models.folder, name, installed=self.installed.values())

    def bundles(self) -> list[Path]:
        """Return every bundle that can be meant."""
        return [*sorted(self.models.folder.glob("*.nsb")), *self.installed.values()]

    def rows(self, tasks: Records) -> list[dict[str, Any]]:
        """Return what `list_bundles` does, of the shelf and of what was installed."""
        return list_bundles(
            self.models.folder, keys=self.keyring, tasks=tasks, installed=self.installed.values()
        )


def shelf_of(models: ModelsSection) -> ModelShelf:
    """Return the models of a device as its settings and its store are now.

    Raises ModelRefused where the store is damaged: an older model is not taken in silence.
    """
    state = StoreState() if models.store is None else read_state(models.store)
    return ModelShelf(models=models, state=state)
