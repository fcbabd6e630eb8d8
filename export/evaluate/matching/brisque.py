"""BRISQUE: how unlike a natural picture one looks, without another to compare it with.

Mittal, Moorthy, Bovik 2012, doi:10.1109/TIP.2012.2214050. Every pixel is told in standard
deviations from its surroundings; the distributions of these values and of the products of
neighbours, at two scales, are 36 numbers; a support vector regression makes one score of them. The
regression is OpenCV's (`brisque_live.npz`: opencv_contrib, Apache-2.0), fitted to people's opinions
of photographs, none of them from a microscope: compare scores, read nothing into one alone.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import gamma as gamma_function

Floats = NDArray[np.float64]

MODEL = Path(__file__).parents[2] / "data" / "brisque_live.npz"
WINDOW, SIGMA_PX = (7, 7), 7 / 6
LEAST_SPREAD = 1 / 255
SHAPES = np.arange(0.2, 10.0, 0.001)
"""Shapes of a generalised Gaussian that are tried: 1 is Laplace's, 2 Gauss's."""

PRODUCTS = ((0, 1), (1, 0), (1, 1), (-1, 1))
"""Down and right to the neighbour that a pixel is multiplied with."""

WORST = 100.0


def brisque(picture: Floats) -> float:
    """Return the score, 0 the best, 100 the worst, of a (y, x) grey picture, levels 0 to 255."""
    model = _model()
    lowest, highest = model["lowest"], model["highest"]
    scaled = 2 * (features(picture) - lowest) / (highest - lowest) - 1
    apart = ((model["vectors"] - scaled) ** 2).sum(axis=1)
    score = float(model["weights"] @ np.exp(-model["gamma"] * apart) - model["rho"])
    return min(max(score, 0.0), WORST)


def features(picture: Floats) -> Floats:
    """Return the 36 numbers of a picture, 18 for each of two scales."""
    whole = (picture / 255).astype(np.float32)
    half = cv2.resize(
        whole, (whole.shape[1] // 2, whole.shape[0] // 2), interpolation=cv2.INTER_CUBIC
    )
    return np.concatenate([_of_one_scale(np.asarray(one, np.float64)) for one in (whole, half)])


def _of_one_scale(picture: Floats) -> Floats:
    even = _even(picture)
    shape, left, right = _fitted(even)
    numbers = [shape, (left**2 + right**2) / 2]
    for down, along in PRODUCTS:
        shape, left, right = _fitted(even * _neighbour(even, down, along))
        of_one, of_two, of_three = (float(gamma_function(n / shape)) for n in (1, 2, 3))
        mean = (right - left) * of_two / of_one * (of_one / of_three) ** 0.5
        numbers += [shape, mean, left**2, right**2]
    return np.array(numbers)


def _even(picture: Floats) -> Floats:
    """Return each pixel in standard deviations from the mean of its surroundings."""
    mean, square = (
        cv2.GaussianBlur(one, WINDOW, SIGMA_PX, borderType=cv2.BORDER_REPLICATE)
        for one in (picture, picture**2)
    )
    variance = square - mean**2
    return np.asarray((picture - mean) / (np.sqrt(np.maximum(variance, 0)) + LEAST_SPREAD))


def _neighbour(even: Floats, down: int, along: int) -> Floats:
    """Return what lies so far down and along of each pixel, 0 beyond the rim."""
    height, width = even.shape
    beside = np.zeros_like(even)
    top, bottom = max(-down, 0), height - max(down, 0)
    beside[top:bottom, : width - along] = even[top + down : bottom + down, along:]
    return beside


def _fitted(values: Floats) -> tuple[float, float, float]:
    """Return shape, left and right spread of an asymmetric generalised Gaussian, by moments.

    (Lasmar, Stitou, Berthoumieu 2009, doi:10.1109/ICIP.2009.5414093.)
    """
    left = _spread(values[values < 0])
    right = _spread(values[values > 0])
    if left == 0 or right == 0:
        return float(SHAPES[0]), left, right
    skew = left / right
    ratio = np.abs(values).mean() ** 2 / (values**2).mean()
    wanted = ratio * (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    return float(SHAPES[int(np.abs(_ratios() - wanted).argmin())]), left, right


def _spread(side: Floats) -> float:
    return float(np.sqrt((side**2).mean())) if len(side) else 0.0


@lru_cache(maxsize=1)
def _ratios() -> Floats:
    ratios: Floats = gamma_function(2 / SHAPES) ** 2 / (
        gamma_function(1 / SHAPES) * gamma_function(3 / SHAPES)
    )
    return ratios


@lru_cache(maxsize=1)
def _model() -> dict[str, Floats]:
    with np.load(MODEL) as stored:
        return {name: stored[name].astype(np.float64) for name in stored.files}
