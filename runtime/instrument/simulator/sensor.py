"""A 12-bit camera sensor: light to digital numbers, with everything a real one adds.

Linear noise model of EMVA Standard 1288, release 4.0 (European Machine Vision Association, 2021):
Var(DN) = K·(mean - dark) + σd², with photo-response and dark-signal non-uniformity on top.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FULL_SCALE = 4095
# Gain K, digital numbers per electron: a full well of 16,000 e fills the 12 bits.
GAIN_DN_PER_E = 0.25
OFFSET_DN = 64.0
READ_NOISE_E = 6.0
DARK_CURRENT_E_PER_S = 40.0
PRNU = 0.01
DSNU_DN = 0.8
# Lens shading towards the corners, around a centre a little off the sensor's.
VIGNETTING = 0.18
VIGNETTE_CENTRE = (0.53, 0.48)
DUST_SPOTS = 24
DUST_DEPTH = (0.06, 0.25)
DUST_RADIUS_PX = (2.5, 7.0)

SENSOR_STREAM = 2
NOISE_STREAM = 3

Map = NDArray[np.float32]


class Sensor:
    """One sensor with its own fixed pattern, drawn from a seed."""

    def __init__(self, *, seed: int, width_px: int, height_px: int) -> None:
        rng = np.random.default_rng([seed, SENSOR_STREAM])
        shape = (height_px, width_px)
        spread = rng.standard_normal(shape, dtype=np.float32)
        self._response: Map = (1 + PRNU * spread) * vignette(shape) * dust(shape, rng)
        self._offset: Map = OFFSET_DN + DSNU_DN * rng.standard_normal(shape, dtype=np.float32)
        self._seed = seed

    def expose(
        self, light_e: Map, *, exposure_ms: float, noise_key: tuple[int, ...]
    ) -> NDArray[np.uint16]:
        """Return digital numbers, (y, x) uint16 in 0..FULL_SCALE.

        `light_e` is the mean number of photoelectrons of an ideal pixel. Shot noise is Gaussian of
        the Poisson law's variance, indistinguishable above some ten electrons. The same
        `noise_key` gives the same noise.
        """
        electrons = light_e * self._response
        electrons += np.float32(DARK_CURRENT_E_PER_S * exposure_ms / 1000)
        key = [self._seed, NOISE_STREAM, *(value & 0xFFFFFFFF for value in noise_key)]
        noise = np.random.Generator(np.random.SFC64(key)).standard_normal(
            electrons.shape, dtype=np.float32
        )
        noise *= np.sqrt(electrons + np.float32(READ_NOISE_E**2))
        numbers = np.rint((electrons + noise) * np.float32(GAIN_DN_PER_E) + self._offset)
        return np.asarray(np.clip(numbers, 0, FULL_SCALE), dtype=np.uint16)


def vignette(shape: tuple[int, int]) -> Map:
    """Return the shading over a (height, width), at most 1, falling with the square of radius."""
    height, width = shape
    x = (np.arange(width, dtype=np.float32) / max(width - 1, 1) - VIGNETTE_CENTRE[0])[None, :]
    y = (np.arange(height, dtype=np.float32) / max(height - 1, 1) - VIGNETTE_CENTRE[1])[:, None]
    return np.asarray(1 - VIGNETTING * 2 * (x**2 + y**2), dtype=np.float32)


def dust(shape: tuple[int, int], rng: np.random.Generator) -> Map:
    """Return the shadows of dust on the sensor's window, fixed in sensor coordinates."""
    height, width = shape
    shadow = np.ones(shape, np.float32)
    x = np.arange(width, dtype=np.float32)[None, :]
    y = np.arange(height, dtype=np.float32)[:, None]
    for _ in range(DUST_SPOTS):
        at_x, at_y = rng.uniform(0, width), rng.uniform(0, height)
        depth, radius = rng.uniform(*DUST_DEPTH), rng.uniform(*DUST_RADIUS_PX)
        # Beyond three radii nothing is left, and numbers too small to be normal are slow.
        away = np.minimum(((x - at_x) ** 2 + (y - at_y) ** 2) / radius**2, 9)
        # Flat-topped: a speck, not a haze.
        shadow *= 1 - depth * np.exp(-(away**2), dtype=np.float32)
    return shadow
