"""Every verdict of the focus search, on curves with a known top."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.focus.curve import Observation
from runtime.focus.search import FocusRequest, focus_search
from tests.honest import assert_honest

DEPTH_UM = 7.6


def request(*, start=0.0, range_um=60.0, limits_um=(-100.0, 100.0), timeout_s=60.0):
    return FocusRequest(
        start_z_um=start,
        range_um=range_um,
        depth_of_field_um=DEPTH_UM,
        limits_um=limits_um,
        timeout_s=timeout_s,
    )


def hill(top_um, *, width_um=6.0, floor=0.01, height=0.05):
    return lambda z, _: floor + height / (1 + ((z - top_um) / width_um) ** 2)


def drive(asked, sharpness, *, saturated=lambda z: 0.0, reached=lambda z: z, frame_s=0.1):
    """Run a search on sharpness(z, n-th frame); return the verdict and the requests."""
    search = focus_search(asked)
    wanted, requests = next(search), []
    while True:
        requests.append(wanted)
        z = reached(wanted.z_um)
        seen = Observation(
            z_um=z,
            sharpness=sharpness(z, len(requests)),
            saturated_fraction=saturated(z),
            time_s=len(requests) * frame_s,
        )
        try:
            wanted = search.send(seen)
        except StopIteration as end:
            return end.value, requests


@pytest.mark.parametrize("top_um", [-27.0, -3.3, 0.0, 11.7, 29.0])
def test_finds_the_top_of_a_clean_curve(top_um):
    verdict, requests = drive(request(), hill(top_um))
    assert verdict.status == "ok"
    assert abs(verdict.z_um - top_um) < 0.05 * DEPTH_UM
    assert len(requests) <= 23
    assert verdict.curve == tuple((r.z_um, hill(top_um)(r.z_um, 0)) for r in requests)


def noisy_verdicts(noise, *, count, **wanted):
    """Errors and σ of searches for known tops, on curves with relative noise."""
    rng = np.random.default_rng(0)
    errors, sigmas = [], []
    for top_um in rng.uniform(-6, 6, count):
        of_frame = rng.normal(1, noise, 100)
        verdict, _ = drive(
            request(**wanted), lambda z, n, t=top_um, o=of_frame: hill(t)(z, n) * o[n]
        )
        if verdict.status == "ok":
            errors.append(verdict.z_um - top_um)
            sigmas.append(verdict.sigma_z_um)
    assert len(errors) > 0.9 * count
    return errors, sigmas


@pytest.mark.slow
@pytest.mark.parametrize("range_um", [60.0, 4 * DEPTH_UM])
def test_sigma_is_how_far_from_focus_a_verdict_is(range_um):
    errors, sigmas = noisy_verdicts(0.05, count=60, range_um=range_um)
    assert_honest(errors, sigmas, one_sigma=(0.55, 0.88))


def test_sigma_is_never_below_what_luck_could_not_deny():
    errors, sigmas = noisy_verdicts(0.001, count=20)
    assert sigmas == pytest.approx([0.02 * DEPTH_UM] * len(sigmas))
    assert np.max(np.abs(errors)) < 0.02 * DEPTH_UM


def test_a_predicted_start_takes_one_pass():
    verdict, requests = drive(request(start=3.0, range_um=4 * DEPTH_UM), hill(5.0))
    assert verdict.status == "ok"
    assert abs(verdict.z_um - 5.0) < 0.05 * DEPTH_UM
    assert len(requests) <= 9


@pytest.mark.parametrize("top_um", [-50.0, 48.0])
def test_extends_once_towards_the_edge(top_um):
    verdict, _ = drive(request(), hill(top_um))
    assert verdict.status == "ok"
    assert abs(verdict.z_um - top_um) < 0.05 * DEPTH_UM


def test_gives_up_at_the_edge_and_names_the_limit():
    verdict, _ = drive(request(limits_um=(-40.0, 40.0)), hill(70.0, width_um=20))
    assert verdict.status == "edge"
    assert "still rising at z 40.0 µm" in verdict.reason
    assert "at the z limit" in verdict.reason
    assert verdict.z_um == 0.0


def test_empty_field_ends_after_the_coarse_pass():
    noise = np.random.default_rng(0).normal(1, 0.004, 100)
    verdict, requests = drive(request(), lambda z, n: 0.01 * noise[n])
    assert verdict.status == "empty"
    assert len(requests) <= 8
    assert "below 5% it is noise" in verdict.reason


def test_a_hill_whose_foot_alone_is_in_the_range_is_no_empty_field():
    """A rise of 4 % from end to end, below the 5 % that may be noise."""
    far = hill(44.0, width_um=3.0, floor=0.06)
    verdict, _ = drive(request(), far)
    seen = [height for z, height in verdict.curve if abs(z) <= 30]
    assert max(seen) / min(seen) - 1 == pytest.approx(0.04, abs=0.01)
    assert verdict.status == "ok"
    assert verdict.z_um == pytest.approx(44.0, abs=0.05 * DEPTH_UM)


def test_where_the_range_ends_at_a_limit_it_is_not_taken_again_a_hair_beside():
    high_um = 0.1 + 0.2
    asked = request(start=-20.0, limits_um=(-100.0, high_um))
    verdict, requests = drive(asked, hill(12.0))
    assert verdict.status == "edge"
    z_um = [one.z_um for one in requests]
    assert min(np.diff(z_um)) > 0.25 * DEPTH_UM


def test_two_tops_are_refused():
    one, two = hill(-15.0, width_um=4), hill(17.0, width_um=4, height=0.04)
    verdict, _ = drive(request(), lambda z, n: one(z, n) + two(z, n))
    assert verdict.status == "multi-peak"


def test_saturation_ends_the_search_at_once():
    verdict, requests = drive(request(), hill(0), saturated=lambda z: 0.02 * (z > -10))
    assert verdict.status == "saturated"
    assert requests[-1].z_um > -10
    assert "2.0% of the pixels" in verdict.reason


def test_a_specimen_that_sinks_is_drifting():
    verdict, _ = drive(request(), lambda z, n: hill(0.9 * n - 9)(z, n))
    assert verdict.status == "drifting"


def test_a_top_that_vanished_is_drifting():
    verdict, _ = drive(request(), lambda z, n: hill(2.0)(z, n) * (0.5 if n > 14 else 1.0))
    assert verdict.status == "drifting"
    assert "repeated at z" in verdict.reason


def test_a_stage_that_does_not_arrive_is_lost():
    verdict, _ = drive(request(), hill(0), reached=lambda z: min(z, 5.0))
    assert verdict.status == "lost"
    assert "the stage stands at 5.00" in verdict.reason


def test_a_slow_search_is_lost():
    verdict, requests = drive(request(timeout_s=1.0), hill(0), frame_s=0.3)
    assert verdict.status == "lost"
    assert len(requests) == 5


def test_nonsense_sharpness_is_lost():
    verdict, _ = drive(request(), lambda z, n: float("nan"))
    assert verdict.status == "lost"


def test_passes_climb():
    _, requests = drive(request(), hill(-50.0))
    for before, after in pairwise(requests):
        assert not after.climbing or after.z_um > before.z_um
    assert sum(not r.climbing for r in requests) == 4


@settings(max_examples=150, deadline=None)
@given(
    start=st.floats(-200, 200),
    range_um=st.floats(1, 300),
    low=st.floats(-100, 50),
    span=st.floats(1, 200),
    heights=st.lists(st.floats(1e-4, 1.0), min_size=5, max_size=30),
)
def test_never_leaves_the_limits_whatever_it_is_told(start, range_um, low, span, heights):
    limits = (low, low + span)
    verdict, requests = drive(
        request(start=start, range_um=range_um, limits_um=limits),
        lambda z, n: heights[n % len(heights)],
    )
    assert all(limits[0] <= r.z_um <= limits[1] for r in requests)
    assert len(requests) <= 100
    assert verdict.status != "ok" or limits[0] <= verdict.z_um <= limits[1]
    assert verdict.status == "ok" or verdict.reason


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"range_um": 0.0}, "range_um"),
        ({"limits_um": (3.0, 3.0)}, "limits_um"),
        ({"start": float("nan")}, "start_z_um"),
    ],
)
def test_an_impossible_request_is_refused_by_name(change, names):
    with pytest.raises(ValueError, match=names):
        request(**change)
