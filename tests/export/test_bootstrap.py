"""Intervals of differences: they cover what is true, and call nothing a win that is none."""

from __future__ import annotations

import numpy as np
import pytest

from export.evaluate.bootstrap import Interval, PairedScores, difference_interval
from export.tasks.classify.metrics import auroc


def two(positive: np.ndarray) -> np.ndarray:
    return np.stack([1 - positive, positive], axis=1)


def made(seed: int, *, gain: float, specimens: int = 20, images: int = 8) -> PairedScores:
    """Two methods that err by specimen alike, of which ours sees `gain` more."""
    rng = np.random.default_rng(seed)
    target = rng.integers(2, size=specimens * images)
    specimen = np.repeat(np.arange(specimens), images)
    common = (target - 0.5) + rng.normal(size=specimens)[specimen] + rng.normal(size=len(target))
    ours = common + gain * (2 * target - 1) + 0.3 * rng.normal(size=len(target))
    theirs = common + 0.3 * rng.normal(size=len(target))
    names = np.array([f"s{one}" for one in specimen])
    return PairedScores(
        specimen=names,
        target=target,
        ours=two(1 / (1 + np.exp(-ours))),
        theirs=two(1 / (1 + np.exp(-theirs))),
    )


@pytest.mark.parametrize("metric", ["accuracy", "auroc"])
def test_equal_methods_are_told_apart_in_one_of_twenty(metric: str) -> None:
    verdicts = [difference_interval([made(seed, gain=0)], metric).verdict for seed in range(60)]  # type: ignore[union-attr]
    assert verdicts.count("not told apart") >= 52


@pytest.mark.parametrize("metric", ["accuracy", "auroc"])
def test_a_real_gain_is_found_whichever_way_round(metric: str) -> None:
    one = made(1, gain=0.6)
    turned = PairedScores(
        specimen=one.specimen, target=one.target, ours=one.theirs, theirs=one.ours
    )
    found, other = (difference_interval([pair], metric) for pair in (one, turned))
    assert found is not None
    assert other is not None
    assert (found.verdict, other.verdict) == ("better", "worse")
    assert (found.low, found.high) == pytest.approx((-other.high, -other.low), abs=0.01)


def test_images_of_one_specimen_do_not_make_it_surer() -> None:
    few = made(4, gain=0.3, specimens=6, images=4)
    many = PairedScores(
        **{name: np.repeat(getattr(few, name), 10, axis=0) for name in few.__slots__}
    )
    one, other = difference_interval([few], "auroc"), difference_interval([many], "auroc")
    assert one is not None
    assert other is not None
    assert other.high - other.low == pytest.approx(one.high - one.low, rel=0.05)


def test_without_drawing_it_is_the_metric_of_the_table() -> None:
    """Every draw of two specimens that are the same is the set itself."""
    half = made(2, gain=0.4, specimens=1, images=30)
    both = PairedScores(
        **{
            name: np.concatenate([getattr(half, name)] * 2) for name in ("target", "ours", "theirs")
        },
        specimen=np.repeat(["a", "b"], 30),
    )
    wanted = [auroc(s[:, 1], half.target == 1) or 0.0 for s in (half.ours, half.theirs)]
    found = difference_interval([both], "auroc")
    assert found is not None
    assert (found.low, found.high) == pytest.approx((wanted[0] - wanted[1],) * 2)


def test_one_specimen_or_three_classes_have_no_interval() -> None:
    assert difference_interval([made(0, gain=1, specimens=1)], "accuracy") is None
    one = made(0, gain=1)
    three = PairedScores(
        specimen=one.specimen,
        target=one.target,
        ours=np.pad(one.ours, ((0, 0), (0, 1))),
        theirs=np.pad(one.theirs, ((0, 0), (0, 1))),
    )
    assert difference_interval([three], "auroc") is None


def test_zero_at_the_edge_is_no_win() -> None:
    assert Interval(low=0.0, high=0.1).verdict == "not told apart"
