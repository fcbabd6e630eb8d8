"""Match two overlap strips that are turned against each other: phase correlation, angle by angle.

Made small, and b turned back by one angle after another; the angle and shift under which both
agree best need only be right to a degree and a few pixels for the refinement to take over. How well
they agree by chance is learnt from the same search with b mirrored: the same texture and noise, but
nothing in common.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from runtime.stitch.match.blank import is_blank
from runtime.stitch.match.correlation import Floats, Image
from runtime.stitch.match.phase import best_peaks, evened, padded, spectrum, stays_put, within_gate
from runtime.stitch.match.refined import Match, match_turned
from runtime.stitch.match.strips import MOST_TURN_RAD, Strip, StripPair
from runtime.stitch.match.threshold import FAR, Chance
from runtime.stitch.match.turned import RigidMotion

LONG_PX = 160
"""Longer side of the small strips."""

STEP_RAD = np.deg2rad(1.4)
"""Half a step moves the end of such a strip by a pixel."""

FINE_SIGMA_PX, COARSE_SIGMA_PX = 1.0, 8.0
"""Band that is compared, in pixels of the small strips."""

CLIP_SIGMAS = 4.0
CHANCE_SIGMAS = 5.0

CHANCE_EVERY = 2
"""Angles between those at which chance is looked at."""

RIVAL = 0.85
"""Another shift with this share of the best one's score may be the true one: texture repeats."""

TRIES = 3
"""Angles refined at most: where several agree about as well, the best is not always the nearest."""

FEWEST_PAIRS = 3
"""Two blocks agree by luck."""

TURNS = 3
"""Times that b is turned back further at most, from half a step to where it lies."""

STRAYED_PX = 4.0
"""How far the refinement may end from where the search began, in pixels of the small strips."""


@dataclass(frozen=True, slots=True)
class _AtAngle:
    """The best shift under one angle: the way (2,) from the predicted one, its score, and whether
    it stands `alone` or has a rival.
    """

    angle_rad: float
    way_px: Floats
    score: float
    alone: bool


def match_angles(pair: StripPair, chance: Chance) -> Match | None:
    """Return the match of strips that may be turned, or None below what chance gives.

    `pair` must have room for what a turned tile moves a seam by (`turned_gate_px`).
    """
    if is_blank(pair.a) or is_blank(pair.b):
        return None
    factor = max(round(max(pair.a.shape) / LONG_PX), 1)
    a, b = _small(pair.a, factor), _small(pair.b, factor)
    found = sorted(_search(pair, a, b, factor), key=lambda found: -found.score)
    mirrored = np.ascontiguousarray(np.flip(b, int(b.shape[1] > b.shape[0])))
    by_chance = [one.score for one in _search(pair, a, mirrored, factor, every=CHANCE_EVERY)]
    level = float(np.mean(by_chance) + CHANCE_SIGMAS * np.std(by_chance))
    if not found or not found[0].alone or found[0].score <= level:
        return None
    tried = (
        _refined(pair, one, chance, within_px=STRAYED_PX * factor)
        for one in found[:TRIES]
        if one.score > max(level, RIVAL * found[0].score)
    )
    return next((match for match in tried if match is not None), None)


def _refined(pair: StripPair, found: _AtAngle, chance: Chance, *, within_px: float) -> Match | None:
    """Return the match near what was found, None where it is not sure."""
    in_a, in_b = _middles(pair)
    still = RigidMotion(found.angle_rad, np.zeros(2))
    motion = replace(still, offset_px=in_a + found.way_px - still.into_a(in_b[None])[0])
    match = match_turned(pair, motion, method="phase", again=TURNS)
    if match is None or len(match.pairs) < FEWEST_PAIRS or stays_put(match.shift_px):
        return None
    points = np.array([p.a_px for p in match.pairs]), np.array([p.b_px for p in match.pairs])
    strayed = np.median(np.hypot(*(points[0] - motion.into_a(points[1])).T))
    area_px = pair.area_px((round(match.shift_px[0]), round(match.shift_px[1])))
    sure = chance.exceeded(match.ncc, area_px=area_px)
    return match if sure and strayed <= within_px else None


def _middles(pair: StripPair) -> tuple[Floats, Floats]:
    """Return the middle (2,) x, y of the predicted overlap in a's and in b's own pixels."""
    across, down = pair.box((round(pair.shift_px[0]), round(pair.shift_px[1])))
    spans = np.array([across, down], float)
    half = (spans[:, 2] - 1) / 2
    return spans[:, 0] + half + pair.origin_a, spans[:, 1] + half + pair.origin_b


def _small(strip: Strip, factor: int) -> Image:
    """Return the strip made small and band-passed, in standard deviations."""
    height, width = (size // factor for size in strip.shape)
    whole = strip[: height * factor, : width * factor].astype(np.float32)
    small = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
    fine = cv2.GaussianBlur(small, (0, 0), FINE_SIGMA_PX)
    detail = fine - cv2.GaussianBlur(small, (0, 0), COARSE_SIGMA_PX)
    spread = max(float(detail.std()), 1e-6)
    return np.asarray(np.clip(detail / spread, -CLIP_SIGMAS, CLIP_SIGMAS), np.float32)


def _search(pair: StripPair, a: Image, b: Image, factor: int, *, every: int = 1) -> list[_AtAngle]:
    """Return the best shift for each angle that two tiles may be turned against each other by."""
    most = round(2 * MOST_TURN_RAD / STEP_RAD)
    angles = STEP_RAD * np.arange(-most, most + 1, every)
    in_a, in_b = (
        (middle - origin - (factor - 1) / 2) / factor
        for middle, origin in zip(_middles(pair), (pair.origin_a, pair.origin_b), strict=True)
    )
    straight_px = in_a - in_b
    predicted = FAR[0] + straight_px[0], FAR[1] + straight_px[1]
    reach_px = -(-pair.gate_px // factor)
    size = padded(a.shape, b.shape, reach_px)
    seen = spectrum(a, size)
    found = []
    for angle in angles:
        turned = _turned(b, in_b, float(angle))
        small = StripPair(a, turned, FAR, (0, 0), predicted, reach_px)
        cross = evened(seen * np.conj(spectrum(turned, size)))
        peaks = best_peaks(small, a, turned, within_gate(small, cross, size))
        if peaks:
            way = factor * (np.array(peaks[0].shift_px) - predicted)
            scores = [peak.ncc * peak.area_px**0.5 for peak in peaks]
            alone = all(score < RIVAL * scores[0] for score in scores[1:])
            found.append(_AtAngle(float(angle), way, scores[0], alone))
    return found


def _turned(b: Image, middle_px: Floats, angle_rad: float) -> Image:
    """Return b as it lies in a that it is turned against, about a middle that stays; 0 beyond."""
    cosine, sine = np.cos(angle_rad), np.sin(angle_rad)
    back = np.array([[cosine, sine], [-sine, cosine]])
    matrix = np.column_stack([back, middle_px - back @ middle_px])
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    drawn = cv2.warpAffine(b, matrix, (b.shape[1], b.shape[0]), flags=how)
    return np.asarray(drawn, np.float32)
