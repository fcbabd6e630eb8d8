"""The network that the settings name for defocus, opened."""

from __future__ import annotations

from runtime.config.settings import ModelsSection
from runtime.inference.opening import open_model
from runtime.inference.shelf import shelf_of
from runtime.inference.task import Records
from runtime.tasks.focus.record import Defocusing
from runtime.tasks.focus.regressor import DefocusRegressor

ONLY: Records = {"focus": Defocusing}


def regressor_of(models: ModelsSection, name: str) -> DefocusRegressor:
    """Return the network of a bundle: a file, "name-version" or a name.

    Raises ModelRefused for one that is missing, damaged, of an unknown signer or for another task.
    """
    shelf = shelf_of(models)
    return DefocusRegressor(
        open_model(
            shelf.find(name),
            keys=shelf.keyring,
            tasks=ONLY,
            backend=models.backend,
            threads=models.threads,
            cache=models.cache,
        )
    )
