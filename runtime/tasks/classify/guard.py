"""The guard: how far a tile lies from what the model knows, in words why its label is doubted, and
whether that is the specimen's fault or the instrument's.

Mahalanobis distance of the tile's descriptor from the training set's (Lee et al. 2018,
arXiv:1807.03888, on our own features instead of a network's). The whitening is the symmetric one of
the correlations (ZCA-cor; Kessy, Lewin, Strimmer 2018, doi:10.1080/00031305.2016.1277159), whose
components stay closest to the features they come from: so the squares add up to the distance, and
the largest group of them names the reason. The features that tell of the specimen are asked once
more by themselves: where they are as usual, what is unusual is the instrument.

That a tile is as far from training as training's own are from each other says little where another
kind of specimen differs in a few of the numbers only. So a linear machine, which was shown views of
what is foreign, says how far a tile lies towards them (Hendrycks, Mazeika, Dietterich 2019,
arXiv:1812.04606).
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
from runtime.tasks.classify.descriptor import (
    FEATURES,
    GROUPS,
    KIND,
    SPECIMEN,
    USUAL,
    Feature,
    describe,
)
from runtime.tasks.classify.record import Classification
from runtime.tile import BLANK_DOUBT, DoubtAbout, Pixels

REASONS = {
    "saturated": "saturated: many pixels at the brightest value",
    "black": "underexposed: many pixels at the darkest value",
    "contrast": "contrast unlike training",
    "sharpness": "sharpness or noise unlike training",
    "lines": "lines along one axis unlike training",
    "structure": "coarse structure unlike training",
    "texture 1": "finest grain unlike training",
}
# What was cut off at either end of the grey scale is lost, whoever's fault that is.
CLIPPED = ("saturated", "black")
# Share of a doubted tile's pixels at one end from which on that is the reason, whatever else is.
CLIPPED_SHARE = 0.1
CLIPPED_IS_ABOUT: DoubtAbout = "specimen"
# Blankness from which on a view has less and less that could be strange: of an emptier one fewer
# points show texture, and a share of fewer varies more, its variance with one over their number.
HALF_EMPTY = 0.42
FOREIGN = "more like other kinds of specimen than like training"
UNSURE = "unsure: no class has a score as high as right ones have"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How unlike the training set one tile is: `strangeness` is 1 at the limit, None without a
    guard; `doubt` is "" below the limit, and beyond it names what is most unusual, `about` what it
    is a doubt.
    """

    strangeness: float | None
    doubt: str
    about: DoubtAbout


# What a model packed without a guard says of every tile.
UNGUARDED = Verdict(strangeness=None, doubt="", about="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One view: its `features` (features,) as in `Description`, as is `blankness`; `squares`, of
    those in `GROUPS`, add up to the square of its distance, and `specimen` is that of the
    specimen's features alone, both of these the milder the less the view shows; `foreign` is how
    far it lies towards what is foreign.
    """

    features: Feature
    squares: Feature
    specimen: float
    foreign: float
    blankness: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """The distribution of the training set's descriptors, and the limits of what is trusted.

    `mean` (features,) is float64 over the descriptor of `spec`, `whitening` and
    `specimen_whitening` are square, of the features in `GROUPS` and of the specimen's among them,
    `towards` has a weight for each feature of `KIND`; a tile is doubted beyond the distances
    `limit` and `specimen_limit`, further than `foreign_limit` towards what is foreign and beyond
    the blankness `blank_limit`, a label below `least_score`.
    """

    spec: PreprocessSpec
    mean: Feature
    whitening: NDArray[np.float64]
    specimen_whitening: NDArray[np.float64]
    towards: Feature
    limit: float
    specimen_limit: float
    foreign_limit: float
    blank_limit: float
    least_score: float

    @classmethod
    def of(cls, bundle: Bundle) -> Guard | None:
        """Return the bundle's guard, None when it was packed without one.

        Raises ModelRefused when an array is not of the descriptor's size.
        """
        trust, spec = bundle.task(Classification).trust, bundle.input(ViewInput).spec
        if trust is None:
            return None
        usual, telling = len(GROUPS), int(SPECIMEN.sum())
        return cls(
            spec=spec,
            mean=_array(bundle, trust.mean, (FEATURES,)),
            whitening=_array(bundle, trust.whitening, (usual, usual)),
            specimen_whitening=_array(bundle, trust.specimen_whitening, (telling, telling)),
            towards=_array(bundle, trust.towards, (int(KIND.sum()),)),
            limit=trust.limit,
            specimen_limit=trust.specimen_limit,
            foreign_limit=trust.foreign_limit,
            blank_limit=trust.blank_limit,
            least_score=trust.least_score,
        )

    def look(self, pixels: Pixels, sampled: Sampled, *, raw: Pixels | None = None) -> Evidence:
        """Return the evidence of one view; the arguments are those of `describe`."""
        found = describe(pixels, sampled, self.spec, raw=raw)
        away = found.features - self.mean
        shown = min(1.0, max(0.0, 1 - found.blankness) / (1 - HALF_EMPTY))
        squares = (self.whitening @ away[USUAL]) ** 2
        squares[SPECIMEN] *= shown
        specimen = self.specimen_whitening @ away[USUAL][SPECIMEN]
        return Evidence(
            features=found.features,
            squares=squares,
            specimen=shown * float(np.sum(specimen**2)),
            foreign=float(self.towards @ away[KIND]),
            blankness=found.blankness,
        )

    def judge(self, views: list[Evidence], *, score: float) -> Verdict:
        """Return the verdict on a tile from all its views and the score of its label.

        Distances are joined as their root mean square: one view far off counts, while a tile of
        many views is not doubted for being many. What else is said of the views is averaged.
        """
        squares = np.mean([view.squares for view in views], axis=0)
        blank = float(np.mean([view.blankness for view in views])) / self.blank_limit
        whole = float(np.sqrt(squares.sum())) / self.limit
        specimen = float(np.sqrt(np.mean([v.specimen for v in views]))) / self.specimen_limit
        foreign = float(np.mean([view.foreign for view in views])) / self.foreign_limit
        strangeness = max(whole, specimen, foreign, blank)
        if blank > 1:
            return Verdict(strangeness=strangeness, doubt=BLANK_DOUBT, about="specimen")
        if strangeness > 1:
            ends = np.mean([np.sin(v.features[: len(CLIPPED)]) ** 2 for v in views], axis=0)
            if ends.max() > CLIPPED_SHARE:
                reason, about = REASONS[CLIPPED[int(ends.argmax())]], CLIPPED_IS_ABOUT
            elif foreign == strangeness:
                reason, about = FOREIGN, "specimen"
            else:
                reason, about = _reason(squares, specimen=specimen > 1 or foreign > 1)
            return Verdict(strangeness=strangeness, doubt=reason, about=about)
        unsure = score < self.least_score
        return Verdict(
            strangeness=strangeness,
            doubt=UNSURE if unsure else "",
            about="score" if unsure else "",
        )


def _reason(squares: Feature, *, specimen: bool) -> tuple[str, DoubtAbout]:
    """Return the group with the largest part in a distance, in words, and what it is about."""
    groups = np.array(GROUPS)
    sums = {g: float(squares[groups == g].sum()) for g in dict.fromkeys(GROUPS)}
    worst = max(sums, key=sums.__getitem__)
    if worst in CLIPPED:
        return REASONS[worst], CLIPPED_IS_ABOUT
    told = set(groups[specimen == SPECIMEN].tolist()).difference(CLIPPED)
    worst = max(told, key=sums.__getitem__)
    points = worst.removeprefix("texture ")
    reason = REASONS.get(worst, f"texture unlike training at {points} points")
    return reason, "specimen" if specimen else "instrument"


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
