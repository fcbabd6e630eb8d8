"""The guard: how far a tile lies from the training set, and in words why its label is doubted.

Mahalanobis distance of the tile's descriptor from the training set's (Lee et al. 2018,
arXiv:1807.03888, on our own features instead of a network's). The whitening is the symmetric one of
the correlations (ZCA-cor; Kessy, Lewin, Strimmer 2018, doi:10.1080/00031305.2016.1277159), whose
components stay closest to the features they come from: so the squares add up to the distance, and
the largest group of them names the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import ModelRefused
from runtime.inference.bundle import Bundle
from runtime.inference.view_input import ViewInput
from runtime.preprocess.inputs import Sampled
from runtime.preprocess.spec import PreprocessSpec
from runtime.tasks.classify.descriptor import describe, feature_groups
from runtime.tasks.classify.record import Classification
from runtime.tile import BLANK_DOUBT, Pixels

REASONS = {
    "saturated": "saturated: many pixels at the brightest value",
    "black": "underexposed: many pixels at the darkest value",
    "contrast": "contrast unlike training",
    "sharpness": "sharpness or noise unlike training",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How unlike the training set one tile is: `strangeness` is 1 at the limit, None without a
    guard; `doubt` is "" below the limit, and beyond it names what is most unusual.
    """

    strangeness: float | None
    doubt: str


# What a model packed without a guard says of every tile.
UNGUARDED = Verdict(strangeness=None, doubt="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The distance of one view: `squares` (features,) add up to its square; `blankness` as in
    `Description`.
    """

    squares: NDArray[np.float64]
    blankness: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """The distribution of the training set's descriptors, and the limits of what is trusted.

    `mean` (features,) and `whitening` (features, features) are float64 over the descriptor of
    `spec`; `limit` is the distance, `blank_limit` the blankness, beyond which a tile is doubted.
    """

    spec: PreprocessSpec
    mean: NDArray[np.float64]
    whitening: NDArray[np.float64]
    limit: float
    blank_limit: float

    @classmethod
    def of(cls, bundle: Bundle) -> Guard | None:
        """Return the bundle's guard, None when it was packed without one.

        Raises ModelRefused when an array is not of the descriptor's size.
        """
        trust, spec = bundle.task(Classification).trust, bundle.input(ViewInput).spec
        if trust is None:
            return None
        features = len(feature_groups(spec.radii_px))
        return cls(
            spec=spec,
            mean=_array(bundle, trust.mean, (features,)),
            whitening=_array(bundle, trust.whitening, (features, features)),
            limit=trust.limit,
            blank_limit=trust.blank_limit,
        )

    def look(self, pixels: Pixels, sampled: Sampled, *, raw: Pixels | None = None) -> Evidence:
        """Return the evidence of one view; the arguments are those of `describe`."""
        found = describe(pixels, sampled, self.spec, raw=raw)
        away = self.whitening @ (found.features - self.mean)
        return Evidence(squares=away**2, blankness=found.blankness)

    def judge(self, views: list[Evidence]) -> Verdict:
        """Return the verdict on a tile from all its views.

        Distances are joined as their root mean square: one view far off counts, while a tile of
        many views is not doubted for being many.
        """
        squares = np.mean([view.squares for view in views], axis=0)
        blank = float(np.mean([view.blankness for view in views])) / self.blank_limit
        distance = float(np.sqrt(squares.sum())) / self.limit
        strangeness = max(distance, blank)
        if strangeness <= 1:
            return Verdict(strangeness=strangeness, doubt="")
        doubt = BLANK_DOUBT if blank > 1 else self._reason(squares)
        return Verdict(strangeness=strangeness, doubt=doubt)

    def _reason(self, squares: NDArray[np.float64]) -> str:
        groups = np.array(feature_groups(self.spec.radii_px))
        worst = max(dict.fromkeys(groups.tolist()), key=lambda g: float(squares[groups == g].sum()))
        kind, _, radius = worst.partition(" ")
        return REASONS.get(kind, f"texture unlike training at r = {radius} px")


def _array(bundle: Bundle, name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    array = bundle.array(name)
    if array.shape != shape or array.dtype != np.float64 or not np.isfinite(array).all():
        raise ModelRefused(
            f"bundle {bundle.path}: {name} does not fit the descriptor",
            value=f"{array.dtype}{array.shape}",
            limit=f"finite float64{shape}",
            remedy="pack the model again",
        )
    return array
