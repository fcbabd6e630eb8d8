"""The network that is asked for seams that nothing else can match, opened when it first is."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from threading import Lock

from runtime.config.settings import ModelsSection
from runtime.errors import ModelRefused
from runtime.inference.bundle import open_bundle
from runtime.inference.opening import open_model
from runtime.inference.shelf import shelf_of
from runtime.tasks.match.choosing import ONLY, choose_apart
from runtime.tasks.match.matcher import Places, StripMatcher
from runtime.tasks.match.record import StripInput
from runtime.tile import Pixels

SHIPPED = "strip-match"
"""What is asked where the settings name none, on a device that has it."""


class StripFinder:
    """The network of a bundle for the task "match": a file, "name-version" or a name.

    The bundle is verified at once, its network loaded when the first seam needs it; several threads
    may ask. Raises ModelRefused for a bundle that is missing, damaged, of an unknown signer or for
    another task.
    """

    def __init__(self, models: ModelsSection, name: str) -> None:
        self._models = models
        shelf = shelf_of(models)
        self._path, self._keys = shelf.find(name), shelf.keyring
        bundle = open_bundle(self._path, keys=self._keys, tasks=ONLY)
        self.shape_px = bundle.input(StripInput).shape_px
        self.name, self._digest = self._path.stem, bundle.digest
        self._lock = Lock()

    def find(self, first: Pixels, second: Pixels) -> tuple[Places, Places]:
        """Return the places that look alike in two (y, x) strips of `shape_px`, (n, 2) x, y."""
        with self._lock:
            return self._matcher.find(first, second)

    @cached_property
    def _matcher(self) -> StripMatcher:
        models = self._models
        choose_apart(self._path, self._digest, models)
        return StripMatcher(
            open_model(
                self._path,
                keys=self._keys,
                tasks=ONLY,
                backend=models.backend,
                threads=models.threads,
                cache=models.cache,
            )
        )


def finder_of(models: ModelsSection, name: str | None = None) -> StripFinder | None:
    """Return the network that is asked for seams, as `finder_file` finds it, or None for none.

    Raises as `StripFinder` does.
    """
    file = finder_file(models, name)
    return None if file is None else StripFinder(models, str(file))


def finder_file(models: ModelsSection, name: str | None = None) -> Path | None:
    """Return the bundle of the named network, else of the settings' own: the device's `SHIPPED` one
    where they say "auto", None where it has none, and where they say "none".

    Raises ModelRefused when one that is named is not there.
    """
    wanted = name or models.matcher
    if wanted == "none":
        return None
    try:
        return shelf_of(models).find(SHIPPED if wanted == "auto" else wanted)
    except ModelRefused:
        if wanted == "auto":
            return None
        raise
