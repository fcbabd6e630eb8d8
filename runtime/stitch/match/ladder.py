"""The matchers, tried in order of cost, until one is sure.

Phase correlation first; where that is not sure, the same of strips turned by a few angles; then, at
ten times the cost, keypoints; last, where there is one, a network. Behind all is the same
refinement. Where none is sure there is no match, and the caller says so with method "none".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from runtime.errors import ConfigRefused
from runtime.stitch.match.angles import match_angles
from runtime.stitch.match.blocks import Layout
from runtime.stitch.match.faint import as_surely
from runtime.stitch.match.learned import CellFinder, match_learned
from runtime.stitch.match.nearby import SURE_PX
from runtime.stitch.match.phase import Peak, candidates, passed, reachable_ncc
from runtime.stitch.match.refined import Match, nearer, refined
from runtime.stitch.match.rivals import lead_nats
from runtime.stitch.match.shown import told_where_shown
from runtime.stitch.match.sift import match_sift
from runtime.stitch.match.strips import StripPair
from runtime.stitch.match.threshold import Chance
from runtime.tile import Alternative

Cut = Callable[[bool], StripPair | None]
"""Cuts the strips of a pair: straight, or (True) with room for turned tiles."""

Network = Callable[[], CellFinder | None]
"""Returns the network that is asked, None where there is none; from any thread."""

Rung = Callable[[Cut, Chance], Match | None]

ALIKE = 0.05
"""A lead in NCC that says nothing: the rim of the band-pass and shading make as much."""

MISFIT = 2.0
"""What leaves this many times the best one's residual power is another place."""

RULED_OUT_NATS = 20.0
"""A place this much less likely than the best one is no candidate, whatever the stage says."""

GATE_SIGMAS = 3.0
"""Where the gate ends, in standard deviations of the way that the stage predicts."""

FEWEST_PAIRS, FAINT = 4, 0.5
"""Of turned tiles a straight comparison finds two or three blocks that agree by luck, or blurred
ones, which agree by less than this share of what their noise would leave."""

LUCKY_PAIRS, LUCKY_SHARE = 2, 0.7
"""So few blocks, of strips that agree by less than this share of what their noise would leave,
agree by luck: right matches of faint tiles have 0.8 and more, wrong ones of sparse tiles that turn
0.6 and less."""

LEAST_TOLD = 0.5
"""Of the blocks along a seam so many must tell a place where another one is as good."""

LEAD = 0.03
"""By how much turned tiles must agree better than straight ones."""

SAME_PX = 3.0
"""Candidates as near as this to one another are one."""


def match_phase(pair: StripPair, chance: Chance) -> Match | None:
    """Return the phase-correlation match of two strips, or None below what chance gives.

    Of several places that the overlap cannot tell apart, the match is the one that the stage finds
    most likely, so that it is no worse than the stage; the others are its alternatives.
    """
    found = candidates(pair, *passed(pair))
    sure = [peak for peak in found if chance.exceeded(peak.ncc, area_px=peak.area_px)]
    if len(sure) > 1:
        return _most_likely(pair, sure)
    return refined(pair, sure[0].shift_px, ncc=sure[0].ncc, method="phase") if sure else None


def _most_likely(pair: StripPair, peaks: list[Peak]) -> Match | None:
    """Return the match nearest to the stage's prediction, with the others that agree as well."""
    places = [place for peak in peaks if (place := nearer(pair, peak.shift_px))]
    best = max((place.ncc for place in places), default=0.0)
    least = min(best * (1 - ALIKE), 1 - MISFIT * (1 - best))
    rivals: list[Alternative] = []
    for place in sorted(places, key=lambda place: -place.ncc):
        if place.ncc >= least and all(_apart_px(place, rival) > SAME_PX for rival in rivals):
            # On the scale of every other match's NCC, which is taken on band-passed pixels.
            rivals.append(replace(place, ncc=place.ncc / best * peaks[0].ncc))
    if len(rivals) > 1:
        leads = lead_nats(pair, rivals).tolist()
        told = zip(rivals, leads, strict=True)
        rivals = [replace(rival, lead_nats=lead) for rival, lead in told if lead < RULED_OUT_NATS]
    dx, dy = pair.shift_px
    stage = Alternative(dx_px=dx, dy_px=dy, ncc=0.0)

    def unlikely(place: Alternative) -> float:
        sigmas = GATE_SIGMAS * _apart_px(place, stage) / pair.gate_px
        return place.lead_nats + sigmas**2 / 2

    for chosen in sorted(rivals, key=unlikely):
        shift = (round(chosen.dx_px), round(chosen.dy_px))
        match = refined(pair, shift, ncc=chosen.ncc, method="phase")
        if match is not None:
            others = (
                replace(rival, lead_nats=rival.lead_nats - chosen.lead_nats)
                for rival in rivals
                if rival is not chosen
            )
            within_px = SAME_PX + abs(match.rotation_rad) * max(pair.a.shape) / 2
            return replace(match, alternatives=_elsewhere(match, others, within_px))
    # Along a bent seam every peak is the place of a part, and between them no block need agree.
    tried = (refined(pair, peak.shift_px, ncc=peak.ncc, method="phase") for peak in peaks)
    return next((match for match in tried if match is not None), None) if len(rivals) == 1 else None


def _elsewhere(
    match: Match, rivals: Iterable[Alternative], within_px: float
) -> tuple[Alternative, ...]:
    """Return the rivals that are no part of the match: a turned seam is at several shifts."""
    dx, dy = match.shift_px
    here = Alternative(dx_px=dx, dy_px=dy, ncc=match.ncc)
    return tuple(rival for rival in rivals if _apart_px(rival, here) > within_px)


def _apart_px(one: Alternative, other: Alternative) -> float:
    return float(np.hypot(one.dx_px - other.dx_px, one.dy_px - other.dy_px))


def by_phase(cut: Cut, chance: Chance) -> Match | None:
    """Return the phase-correlation match of a pair, of turned strips where straight ones are not
    sure; of a faint one as sure as all of its pixels are.
    """
    pair = cut(False)
    straight = None if pair is None else _straight(pair, chance)
    if pair is not None and straight is not None and not _doubtful(straight, pair):
        return _no_surer(straight, pair)
    wide = cut(True)
    turned = None if wide is None else match_angles(wide, chance)
    if straight is None or (turned is not None and turned.ncc > straight.ncc + LEAD):
        return None if wide is None or turned is None else _no_surer(turned, wide)
    if pair is None or _lucky(straight, pair) or _slides(straight, pair):
        return None
    return _no_surer(straight, pair)


def by_plain_phase(cut: Cut, chance: Chance) -> Match | None:
    """Return what `by_phase` returns without a look at turned strips, None where it needs one."""
    pair = cut(False)
    match = None if pair is None else _straight(pair, chance)
    if pair is None or match is None or _doubtful(match, pair):
        return None
    return _no_surer(match, pair)


def _no_surer(match: Match, pair: StripPair) -> Match | None:
    """Return the match as sure as all pixels are where it is faint, None where they see nothing."""
    if match.ncc >= FAINT or reachable_ncc(pair) >= FAINT:
        return match
    return as_surely(pair, match)


def _straight(pair: StripPair, chance: Chance) -> Match | None:
    match = match_phase(pair, chance)
    return None if match is None else _as_shown(match, pair)


def _slides(match: Match, pair: StripPair) -> bool:
    """Return whether several places are alike to the few blocks that tell any.

    All along a seam that is a lattice, of which the stage and other seams choose a place; of a
    faint one it is an edge that runs through a corner, with no place on it.
    """
    told = len(match.pairs) / len(Layout.of(*pair.a.shape).corners)
    return bool(match.alternatives) and match.ncc < FAINT and told < LEAST_TOLD


def _as_shown(match: Match, pair: StripPair) -> Match:
    """Return the match with those of its blocks alone that show something, where these are few."""
    if len(match.pairs) >= FEWEST_PAIRS and not _poor(match, pair):
        return match
    shown = told_where_shown(pair, match)
    return shown if len(shown.pairs) < FEWEST_PAIRS else match


def _lucky(match: Match, pair: StripPair) -> bool:
    """Return whether two blocks found each other, and most of what the strips show did not."""
    return len(match.pairs) <= LUCKY_PAIRS and _poor(match, pair)


def _poor(match: Match, pair: StripPair) -> bool:
    """Return whether strips agree by less than right matches of what they show do."""
    return match.ncc < LUCKY_SHARE and match.ncc < LUCKY_SHARE * reachable_ncc(pair)


def _doubtful(match: Match, pair: StripPair) -> bool:
    """Return whether a match may be what is left of one between turned tiles."""
    few = len(match.pairs) < FEWEST_PAIRS
    return few or (match.ncc < FAINT and match.ncc < FAINT * reachable_ncc(pair))


def by_keypoints(cut: Cut, chance: Chance) -> Match | None:
    """Return the match that keypoints agree on, or None."""
    pair = cut(True)
    return None if pair is None else match_sift(pair, chance)


def by_cells(network: Network) -> Rung:
    """Return the rung that asks a network, for which it is only then looked."""

    def rung(cut: Cut, _: Chance) -> Match | None:
        pair = cut(True)
        finder = None if pair is None else network()
        return None if pair is None or finder is None else match_learned(pair, finder)

    return rung


LADDERS: dict[str, tuple[Rung, ...]] = {
    "auto": (by_phase, by_keypoints),
    "phase": (by_phase,),
    "sift": (by_keypoints,),
    "loftr": (),
}
LEARNED = ("auto", "loftr")
"""The matchers whose last rung is a network, where there is one."""


def ladder(matcher: str, network: Network) -> tuple[Rung, ...]:
    """Return the rungs of a matcher by name, the `network` the last of them where it asks one.

    Raises ConfigRefused for an unknown matcher, and for "loftr" without a network.
    """
    if matcher not in LADDERS:
        raise ConfigRefused(
            "unknown matcher", value=matcher, limit=", ".join(LADDERS), remedy="Choose one of these"
        )
    rungs = LADDERS[matcher]
    if not rungs and network() is None:
        raise ConfigRefused(
            f"matcher '{matcher}' has no network to ask",
            remedy="name a model for the task 'match' with --network",
        )
    return (*rungs, by_cells(network)) if matcher in LEARNED else rungs


def climb(rungs: tuple[Rung, ...], cut: Cut, chance: Chance) -> Match | None:
    """Return the first match any rung is sure of, or None.

    A place that is known to `SURE_PX` only, both axes together, is none: where a line through an
    otherwise faint overlap is all that agrees, any place along it does, and its σ says so.
    """
    found = (rung(cut, chance) for rung in rungs)
    return next((match for match in found if match is not None and _sure(match)), None)


def _sure(match: Match) -> bool:
    (xx, _), (_, yy) = match.covariance_px2
    return (xx + yy) / 2 <= SURE_PX**2
