"""The loop as a generator: what it asks of measurers, whom it believes, and what it never does."""

import math
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.focus.autofocus import autofocus
from runtime.focus.search import FocusRequest
from runtime.focus.sight import Lamp, Sight, fingerprint, unchanged
from runtime.focus.single_shot import Defocus

DEPTH_UM = 8.0
LAMP = Lamp(channel="brightfield", brightness=0.5, exposure_ms=10.0)
LED = Lamp(channel="led", brightness=0.5, exposure_ms=20.0)
GRAIN = np.random.default_rng(0).normal(size=(64, 64))


@dataclass
class Told:
    """A measurer that says of every frame what `says` makes of the true defocus written in it."""

    says: object = lambda z_um: Defocus(z_um=z_um, sigma_um=0.2)
    name: str = "told"
    lamps: tuple = (LED,)
    asked_um: list = field(default_factory=list)

    def measure(self, frames):
        z_um = float(frames[0][0, 0]) / 100 - 300
        self.asked_um.append(z_um)
        return self.says(z_um)


def request(**wanted):
    asked = {"start_z_um": 0.0, "range_um": 60.0, "limits_um": (-100.0, 100.0)} | wanted
    return FocusRequest(depth_of_field_um=DEPTH_UM, **asked)


def watched(asked, *singles, focus_um=0.0, see=None, reached=lambda z: z, frame_s=0.1):
    """Run a loop on a world whose frames carry the defocus; return what was found, and requests.

    `see(z, n)` returns the n-th frame of the sweep instead.
    """
    loop = autofocus(asked, lamp=LAMP, singles=singles)
    rng = np.random.default_rng(1)
    wanted, requests = next(loop), []
    while True:
        requests.append(wanted)
        z_um = reached(wanted.z_um)
        if wanted.lamps == (LED,):
            pixels = np.full((64, 64), (z_um - focus_um + 300) * 100, np.uint16)
            pixels[1:] += rng.integers(0, 50, (63, 64), np.uint16)
        elif see is not None:
            pixels = see(z_um, len(requests), wanted.lamps[0].brightness)
        else:
            sharp = 1 / math.hypot(1, (z_um - focus_um) / 6)
            pixels = (2000 + 300 * sharp * GRAIN + rng.normal(0, 3, (64, 64))).astype(np.uint16)
        sight = Sight(
            z_um=z_um,
            frames=(pixels,),
            level=float(pixels.mean()) / 4095,
            saturated_fraction=float((pixels >= 60000).mean()),
            prints=(fingerprint(pixels),),
            time_s=frame_s * len(requests),
        )
        try:
            wanted = loop.send(sight)
        except StopIteration as end:
            return end.value, requests


@pytest.mark.parametrize("sigma_um", [1.0, 3.9])
def test_a_sure_prediction_and_one_look_from_below_agree(sigma_um):
    told = Told()
    asked = request(start_z_um=10.0, start_sigma_um=sigma_um)
    found, requests = watched(asked, told, focus_um=10.5)
    assert (found.by, found.verdict.status) == ("told", "ok")
    assert found.verdict.z_um == pytest.approx(10.5, abs=0.02)
    assert (found.verdict.exposures, found.verdict.curve) == (1, ())
    assert requests[0].z_um == 10.0 - 1.5 * DEPTH_UM
    assert requests[0].lamps == (LED,)


@pytest.mark.parametrize("sigma_um", [4.1, math.inf])
def test_without_a_prediction_one_correction_is_checked_by_a_second_look(sigma_um):
    found, requests = watched(request(start_sigma_um=sigma_um), Told(), focus_um=13.0)
    assert (found.by, found.verdict.exposures) == ("told", 2)
    assert found.verdict.z_um == pytest.approx(13.0, abs=0.02)
    assert requests[1].climbing
    assert requests[1].z_um == pytest.approx(13.0 - 0.5 * DEPTH_UM, abs=0.02)


def test_no_look_moves_the_stage_further_than_the_longest_step():
    found, requests = watched(request(range_um=200.0), Told(), focus_um=70.0)
    assert found.verdict.z_um == pytest.approx(70.0, abs=0.02)
    z_um = [one.z_um for one in requests]
    assert max(np.diff(z_um)) <= 5 * DEPTH_UM + 1e-9


@pytest.mark.parametrize("sigma_um", [1.0, 3.9, math.inf])
def test_a_wrong_sign_is_told_and_the_sweep_finds_focus(sigma_um):
    swapped = Told(says=lambda z_um: Defocus(z_um=-z_um, sigma_um=0.2))
    found, _ = watched(request(start_sigma_um=sigma_um), swapped, focus_um=2.0)
    assert (found.by, found.verdict.status) == ("sweep", "ok")
    assert found.verdict.z_um == pytest.approx(2.0, abs=1.0)
    assert "its sign is wrong; are the LEDs swapped?" in found.verdict.reason
    assert found.verdict.exposures == len(found.verdict.curve) + 2


@pytest.mark.parametrize("sigma_um", [1.0, 3.9, math.inf])
def test_what_does_not_follow_the_stage_is_not_the_specimen(sigma_um):
    dust = Told(says=lambda z_um: Defocus(z_um=0.0, sigma_um=0.05))
    found, _ = watched(request(start_sigma_um=sigma_um), dust, focus_um=2.0)
    assert found.by == "sweep"
    assert found.verdict.z_um == pytest.approx(2.0, abs=1.0)
    assert "what it sees is not the specimen" in found.verdict.reason


def test_one_who_is_not_sure_is_followed_by_the_next_without_a_word():
    vague = Told(says=lambda z_um: Defocus(z_um=z_um, sigma_um=5.0), name="vague")
    found, _ = watched(request(), vague, Told(), focus_um=4.0)
    assert (found.by, found.verdict.reason) == ("told", "")
    assert found.verdict.exposures == 3


def test_one_who_doubts_its_frames_is_named_and_followed_by_a_sweep():
    foreign = Told(says=lambda z_um: Defocus(z_um=z_um, sigma_um=0.1, doubt="never seen"))
    found, _ = watched(request(), foreign, focus_um=4.0)
    assert (found.by, found.verdict.status) == ("sweep", "ok")
    assert found.verdict.reason == "told is not used: never seen"


def test_focus_beyond_the_reach_of_a_sweep_is_left_to_the_sweep():
    found, _ = watched(request(limits_um=(-40.0, 40.0)), Told(), focus_um=55.0)
    assert (found.by, found.verdict.status) == ("sweep", "edge")


def test_a_stage_that_does_not_arrive_is_lost_whoever_looks():
    found, requests = watched(request(), Told(), reached=lambda z: 3.0)
    assert found.verdict.status == "lost"
    assert "the stage stands at 3.00" in found.verdict.reason
    assert len(requests) == 1


def test_the_time_of_all_looks_counts():
    found, requests = watched(request(timeout_s=1.0), Told(), focus_um=13.0, frame_s=1.5)
    assert found.verdict.status == "lost"
    assert found.verdict.reason == "no focus within 1 s"
    assert len(requests) == 2


def noisy(level, *, grain=0.0):
    rng = np.random.default_rng(2)

    def see(z_um, number, brightness):
        lit = level if brightness > 0 else 0
        return (60 + lit + grain * GRAIN + rng.normal(0, 5, (64, 64))).astype(np.uint16)

    return see


def test_an_empty_field_is_empty_and_costs_no_dark_frame():
    found, requests = watched(request(), see=noisy(2000))
    assert found.verdict.status == "empty"
    assert found.verdict.exposures == len(requests) == len(found.verdict.curve)


def test_a_light_that_is_off_is_lost_not_empty():
    found, requests = watched(request(), see=noisy(0))
    assert found.verdict.status == "lost"
    assert "the light is off" in found.verdict.reason
    assert requests[-1].lamps[0].brightness == 0


def test_a_dim_field_is_empty_all_the_same():
    assert watched(request(), see=noisy(60))[0].verdict.status == "empty"


def test_the_same_detail_at_every_z_is_a_stage_that_does_not_move():
    found, _ = watched(request(), see=noisy(2000, grain=50.0))
    assert found.verdict.status == "lost"
    assert "the stage does not move" in found.verdict.reason


def test_the_very_same_frame_is_a_camera_that_is_frozen():
    one = noisy(2000)(0, 0, 1)
    found, requests = watched(request(), see=lambda z, n, b: one)
    assert found.verdict.status == "lost"
    assert "it is frozen" in found.verdict.reason
    assert len(requests) == 2


def test_a_white_frame_is_saturated_not_frozen():
    white = np.full((64, 64), 65535, np.uint16)
    assert watched(request(), see=lambda z, n, b: white)[0].verdict.status == "saturated"


def test_dust_alone_is_no_detail_that_stays():
    rng = np.random.default_rng(3)
    dust = np.zeros((128, 128))
    dust[rng.integers(4, 124, 8), rng.integers(4, 124, 8)] = -900
    frames = [(2000 + dust + rng.normal(0, 9, dust.shape)).astype(np.uint16) for _ in range(2)]
    assert not unchanged(*frames)


@given(
    start=st.floats(-200, 200),
    sigma=st.sampled_from([1.0, math.inf]),
    range_um=st.floats(1, 200),
    low=st.floats(-100, 50),
    span=st.floats(1, 200),
    words=st.lists(st.floats(-500, 500), min_size=1, max_size=6),
)
def test_no_measurer_takes_it_beyond_the_limits(start, sigma, range_um, low, span, words):
    said = iter(words * 10)
    liar = Told(says=lambda _: Defocus(z_um=next(said), sigma_um=0.1))
    limits_um = (low, low + span)
    asked = request(start_z_um=start, start_sigma_um=sigma, range_um=range_um, limits_um=limits_um)
    found, requests = watched(asked, liar, see=noisy(2000))
    assert all(limits_um[0] <= one.z_um <= limits_um[1] for one in requests)
    assert found.verdict.status != "ok" or limits_um[0] <= found.verdict.z_um <= limits_um[1]
    assert found.verdict.status == "ok" or found.verdict.reason
