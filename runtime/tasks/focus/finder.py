"""The network that is asked for defocus, opened for the objective it is to serve."""

from __future__ import annotations

from runtime.config.settings import ModelsSection, Objective
from runtime.inference.bundle import find_bundle
from runtime.inference.opening import open_model
from runtime.inference.task import Records
from runtime.tasks.focus.record import Defocusing
from runtime.tasks.focus.regressor import DefocusRegressor

ONLY: Records = {"focus": Defocusing}


def regressor_of(models: ModelsSection, *, optics: Objective, sine: float) -> DefocusRegressor:
    """Return the network that the settings name, for an objective and the sine of an LED's angle.

    Raises ModelRefused for a bundle that is missing, damaged, of an unknown signer or for another
    task, and, by name, for a numerical aperture, wavelength, pixel size or angle outside its
    ranges.
    """
    regressor = DefocusRegressor(
        open_model(
            find_bundle(models.folder, models.focus),
            keys=models.keyring,
            tasks=ONLY,
            backend=models.backend,
            threads=models.threads,
            cache=models.cache,
        )
    )
    regressor.record.refuse_others(
        na=optics.na,
        wavelength_um=optics.wavelength_um / optics.refractive_index,
        pixel_size_um=optics.pixel_size_um,
        sine=sine,
        pixels_um=regressor.input.pixel_size_um,
        model=regressor.name,
    )
    return regressor
