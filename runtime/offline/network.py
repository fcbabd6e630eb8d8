"""The network that is asked for seams that nothing else can match, opened when it first is."""

from __future__ import annotations

from functools import cache
from threading import Lock

from runtime.config.settings import ModelsSection
from runtime.inference.bundle import find_bundle, open_bundle
from runtime.inference.opening import open_model
from runtime.inference.task import Records
from runtime.stitch.match.agreed import Points
from runtime.stitch.match.learned import CellFinder
from runtime.tasks.match.matcher import StripMatcher
from runtime.tasks.match.record import Matching, StripInput
from runtime.tile import Pixels

ONLY: Records = {"match": Matching}


def cell_finder(models: ModelsSection, name: str) -> CellFinder:
    """Return the finder of a bundle for the task "match": a file, "name-version" or a name.

    The bundle is verified at once, its network loaded when the first seam needs it. Raises
    ModelRefused for a bundle that is missing, damaged, of an unknown signer or for another task.
    """
    path, keys = find_bundle(models.folder, name), models.folder / "keys"
    shown = open_bundle(path, keys=keys, tasks=ONLY).input(StripInput)
    lock = Lock()

    @cache
    def matcher() -> StripMatcher:
        return StripMatcher(
            open_model(
                path,
                keys=keys,
                tasks=ONLY,
                backend=models.backend,
                threads=models.threads,
                cache=models.cache,
            )
        )

    def find(first: Pixels, second: Pixels) -> Points:
        with lock:
            found = matcher().match(first, second)
        return found.first_px, found.second_px

    return CellFinder(shape_px=shown.shape_px, find=find)
