"""A specimen that repeats keeps every place it allows; one that does not has one."""

import cv2
import numpy as np
import pytest

from runtime.stitch.match.blank import Detail
from runtime.stitch.match.borders import Facing
from runtime.stitch.match.ladder import match_phase
from runtime.stitch.match.sensor import STAYS, by_the_sensor
from runtime.stitch.match.threshold import Chance
from tests.runtime.stitch.made_strips import peak_of, seen, strips_of
from tests.runtime.stitch.stitch_scans import SHAPE_PX


def lattice(at, *, pitch, seed, flaws=0.0):
    """A view of an endless lattice of dots, its pixel (0, 0) at `at`, under noise of its own.

    Its dots may be brighter or darker here and there, by so large a share.
    """
    height, width = SHAPE_PX
    y, x = np.mgrid[at[1] : at[1] + height, at[0] : at[0] + width]
    dots = np.tanh(2 * (np.cos(2 * np.pi * x / pitch) + np.cos(2 * np.pi * y / pitch)))
    noise = np.random.default_rng(seed).normal(0, 0.1, SHAPE_PX)
    if flaws:
        everywhere = np.random.default_rng(9).normal(1, 4 * flaws, (600, 600)).astype(np.float32)
        part = cv2.GaussianBlur(everywhere, (0, 0), 1.5)
        dots *= part[at[1] : at[1] + height, at[0] : at[0] + width]
    return (4000 + 1000 * (dots + noise)).astype(np.uint16)


@pytest.mark.parametrize("pitch", [12, 17.3, 24])
def test_a_periodic_specimen_keeps_every_place_it_allows_and_takes_the_stages(pitch):
    true, prior, gate_px = (220, 3), (218.0, -2.0), 20
    a, b = lattice((0, 0), pitch=pitch, seed=1), lattice(true, pitch=pitch, seed=2)
    strips = strips_of(a, b, prior=prior, gate_px=gate_px)
    match = match_phase(strips, Chance.of(a, gate_px=20) + Chance.of(b, gate_px=20))
    assert match is not None
    places = [match.shift_px, *((other.dx_px, other.dy_px) for other in match.alternatives)]
    steps = (np.array(places) - true) / pitch
    assert steps == pytest.approx(np.rint(steps), abs=0.05)
    from_stage = np.hypot(*(np.array(places) - prior).T)
    assert from_stage[0] == from_stage.min()
    assert len(places) == len(set(map(tuple, np.rint(steps).tolist()))) >= (gate_px // pitch) ** 2
    assert np.hypot(*steps.T).min() < 0.05


@pytest.mark.parametrize("pitch", [12, 17.3])
def test_flaws_far_below_the_noise_tell_the_places_of_a_lattice_apart(pitch):
    true, prior, gate_px = (220, 3), (212.0, 9.0), 20
    a, b = (lattice(at, pitch=pitch, seed=at[0], flaws=0.03) for at in ((0, 0), true))
    match = match_phase(strips_of(a, b, prior=prior, gate_px=gate_px), Chance(lambda: (8.0, 8.0)))
    assert match is not None
    places = [(match.shift_px, 0.0)]
    places += [((other.dx_px, other.dy_px), other.lead_nats) for other in match.alternatives]
    likeliest = min(places, key=lambda place: place[1])[0]
    assert likeliest == pytest.approx(true, abs=0.1)


def test_a_lattice_that_agrees_with_itself_is_no_dust():
    """The step of the stage is a whole number of its periods, so a tile matches itself as well."""
    true, gate_px = (216, 0), 8
    a, b = lattice((0, 0), pitch=12, seed=1), lattice(true, pitch=12, seed=2)
    chance = Chance.of(a, gate_px=8) + Chance.of(b, gate_px=8)
    pair, own = (strips_of(one, b, prior=(216.0, 0.0), gate_px=gate_px) for one in (a, b))
    match = match_phase(pair, chance)
    assert match is not None
    alike = Detail.of(a).alike(Detail.of(b))
    assert alike > STAYS  # Nothing but its period tells it from what stays with the sensor.
    assert not by_the_sensor(match, Facing(pair, None, own, chance, alike))


def test_a_pitch_as_wide_as_the_overlap_is_matched_to_a_pixel():
    for true in ((220, 3), (217, -2), (223, 0)):
        a, b = (
            lattice((20, 20), pitch=36, seed=1),
            lattice((20 + true[0], 20 + true[1]), pitch=36, seed=2),
        )
        peak = peak_of(a, b, prior=(220.0, 0.0), gate_px=12)
        assert peak is not None
        assert peak.shift_px == pytest.approx(true, abs=1)


def test_a_specimen_that_does_not_repeat_has_one_place():
    for at in ((300, 400), (700, 200), (100, 900)):
        a, b = seen(at), seen((at[0] + 218, at[1] + 4))
        chance = Chance.of(a, gate_px=20) + Chance.of(b, gate_px=20)
        match = match_phase(strips_of(a, b, prior=(215.0, 0.0), gate_px=20), chance)
        assert match is not None
        assert match.alternatives == ()
