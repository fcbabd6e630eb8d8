"""Patterns made by chance that no specimen shows: clouds, dark patches, fibres."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from export.datasets.cameras import Light

Shape = tuple[int, int]

# The mean light of clouds and fibres, and their deviation.
MIDDLE, DEVIATION = 0.6, (0.05, 0.2)
# Of patches: the light about them, and how much darker they are.
BRIGHT, DARKER = 0.75, (0.1, 0.5)


def pattern(shape: Shape, rng: np.random.Generator) -> Light:
    """Return (h, w) light of one of the patterns, within 0 and 1."""
    kind = PATTERNS[int(rng.integers(len(PATTERNS)))]
    return np.asarray(np.clip(kind(shape, rng), 0, 1), np.float32)


def clouds(shape: Shape, rng: np.random.Generator) -> Light:
    """Return noise whose spectrum falls with a power from 0.6 to 3."""
    power, flat_below = rng.uniform(0.6, 3), rng.uniform(0.002, 0.03)
    frequency = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None, :])
    white = np.fft.rfft2(rng.standard_normal(shape))
    return _about_the_middle(np.fft.irfft2(white / (frequency + flat_below) ** power, shape), rng)


def patches(shape: Shape, rng: np.random.Generator) -> Light:
    """Return dark patches of one size, 2 to 20 px, that take 5 to 70 % of the field."""
    size_px = float(np.exp(rng.uniform(np.log(2), np.log(20))))
    field = cv2.GaussianBlur(rng.standard_normal(shape), (0, 0), size_px)
    inside = (field > np.quantile(field, rng.uniform(0.3, 0.95))).astype(np.float32)
    darker = rng.uniform(*DARKER)
    softened = cv2.GaussianBlur(inside, (0, 0), rng.uniform(0.6, 2))
    return np.asarray(BRIGHT - darker * softened, np.float32)


def fibres(shape: Shape, rng: np.random.Generator) -> Light:
    """Return fibres of one direction, 1 to 3 px wide and 8 to 40 px long."""
    side = int(np.ceil(np.hypot(*shape)))
    width_px, length_px = rng.uniform(1, 3), rng.uniform(8, 40)
    grain = rng.standard_normal((side, side)).astype(np.float32)
    along = cv2.GaussianBlur(grain, (0, 0), sigmaX=length_px, sigmaY=width_px)
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), rng.uniform(0, 180), 1)
    turned = cv2.warpAffine(along, turn, (side, side), borderMode=cv2.BORDER_REFLECT)
    y, x = ((side - want) // 2 for want in shape)
    return _about_the_middle(turned[y : y + shape[0], x : x + shape[1]], rng)


def _about_the_middle(field: NDArray[Any], rng: np.random.Generator) -> Light:
    deviation = rng.uniform(*DEVIATION) / max(float(field.std()), 1e-6)
    return np.asarray(MIDDLE + deviation * (field - field.mean()), np.float32)


PATTERNS: tuple[Callable[[Shape, np.random.Generator], Light], ...] = (clouds, patches, fibres)
