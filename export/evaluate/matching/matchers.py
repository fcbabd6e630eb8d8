"""The table of matchers: adding one is a file of its own and a row here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from export.evaluate.matching.bundle import BundleMatcher
from export.evaluate.matching.loftr import LoftrMatcher
from export.evaluate.matching.matcher import Matcher
from export.evaluate.matching.phase import PhaseMatcher
from export.evaluate.matching.sift import SiftMatcher
from export.evaluate.matching.teacher import TeacherMatcher
from export.evaluate.matching.xfeat import XFeatMatcher
from export.networks.loftr.sizes import PUBLISHED
from runtime.errors import ConfigRefused

FIRST_RELEASE = PUBLISHED.model_copy(update={"old_positions": True})


@dataclass(frozen=True, slots=True)
class Offer:
    """How a matcher is made, of its file of weights where it has one; `weights` says which file
    that is, "" for none.
    """

    open: Callable[[Path], Matcher]
    weights: str = ""


OFFERS: dict[str, Offer] = {
    "sift": Offer(lambda _: SiftMatcher()),
    "phase": Offer(lambda _: PhaseMatcher()),
    "xfeat": Offer(XFeatMatcher, "the authors' xfeat.pt"),
    "loftr": Offer(
        lambda path: LoftrMatcher("loftr", path, FIRST_RELEASE),
        "the authors' outdoor_ds.ckpt or indoor_ds.ckpt",
    ),
    "loftr-new": Offer(
        lambda path: LoftrMatcher("loftr-new", path), "the authors' indoor_ds_new.ckpt"
    ),
    "loftr-small-int8": Offer(
        lambda path: BundleMatcher("loftr-small-int8", path, "int8"), "a bundle that matches, .nsb"
    ),
    "loftr-small-fp32": Offer(
        lambda path: BundleMatcher("loftr-small-fp32", path, "fp32"), "a bundle that matches, .nsb"
    ),
    "loftr-coarse": Offer(TeacherMatcher, "Coarse_LoFTR_TRT's LoFTR_teacher.onnx"),
}


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
