"""The table of matchers: adding one is a file of its own, and a row and its opener here.

What a matcher needs is loaded when it is opened: the command line reads the table for its help.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import ConfigRefused

if TYPE_CHECKING:
    from export.evaluate.matching.matcher import Matcher


@dataclass(frozen=True, slots=True)
class Offer:
    """How a matcher is made, of its file of weights where it has one; `weights` says which file
    that is, "" for none.
    """

    open: Callable[[Path], Matcher]
    weights: str = ""


def _sift(_: Path) -> Matcher:
    from export.evaluate.matching.sift import SiftMatcher

    return SiftMatcher()


def _phase(_: Path) -> Matcher:
    from export.evaluate.matching.phase import PhaseMatcher

    return PhaseMatcher()


def _xfeat(path: Path) -> Matcher:
    from export.evaluate.matching.xfeat import XFeatMatcher

    return XFeatMatcher(path)


def _small_int8(path: Path) -> Matcher:
    from export.evaluate.matching.bundle import BundleMatcher

    return BundleMatcher("loftr-small-int8", path, "int8")


def _small_fp32(path: Path) -> Matcher:
    from export.evaluate.matching.bundle import BundleMatcher

    return BundleMatcher("loftr-small-fp32", path, "fp32")


def _loftr(path: Path) -> Matcher:
    from export.evaluate.matching.loftr import FIRST_RELEASE, LoftrMatcher

    return LoftrMatcher("loftr", path, FIRST_RELEASE)


def _loftr_new(path: Path) -> Matcher:
    from export.evaluate.matching.loftr import LoftrMatcher

    return LoftrMatcher("loftr-new", path)


def _coarse(path: Path) -> Matcher:
    from export.evaluate.matching.teacher import TeacherMatcher

    return TeacherMatcher(path)


OFFERS: dict[str, Offer] = {
    "sift": Offer(_sift),
    "phase": Offer(_phase),
    "xfeat": Offer(_xfeat, "the authors' xfeat.pt"),
    "loftr-small-int8": Offer(_small_int8, "a bundle that matches, .nsb"),
    "loftr-small-fp32": Offer(_small_fp32, "a bundle that matches, .nsb"),
    "loftr": Offer(_loftr, "the authors' outdoor_ds.ckpt or indoor_ds.ckpt"),
    "loftr-new": Offer(_loftr_new, "the authors' indoor_ds_new.ckpt"),
    "loftr-coarse": Offer(_coarse, "Coarse_LoFTR_TRT's LoFTR_teacher.onnx"),
}


def in_words() -> str:
    """Return what the command line may say: "sift phase xfeat=FILE ..."."""
    return " ".join(f"{name}=FILE" if offer.weights else name for name, offer in OFFERS.items())


def opened(names: Sequence[str]) -> list[Matcher]:
    """Return matchers by what the command line calls them, "name" or "name=weights", in order.

    Raises ConfigRefused for an unknown name, one named twice, and weights that are missing or
    that the matcher has none of.
    """
    found: dict[str, Matcher] = {}
    for said in names:
        name, _, weights = said.partition("=")
        offer = OFFERS.get(name)
        if offer is None:
            raise ConfigRefused(
                "unknown matcher", value=name, limit=", ".join(OFFERS), remedy="Choose among these"
            )
        if name in found:
            raise ConfigRefused("a matcher is named twice", value=name, remedy="Name it once")
        _check_weights(name, weights, offer)
        found[name] = offer.open(Path(weights))
    return list(found.values())


def _check_weights(name: str, weights: str, offer: Offer) -> None:
    if not offer.weights and weights:
        raise ConfigRefused(f"{name} has no weights", value=weights, remedy=f"Say {name} alone")
    if offer.weights and not weights:
        raise ConfigRefused(f"{name} needs {offer.weights}", remedy=f"Say {name}=FILE")
    if offer.weights and not Path(weights).is_file():
        raise ConfigRefused(f"{name}: no such file", value=weights, remedy=f"Name {offer.weights}")
