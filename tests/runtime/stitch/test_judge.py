"""What blocks say together: by hand what NumPy says of the same matrices."""

import numpy as np
import pytest

from runtime.stitch.match.judge_kernel import agreed

APART_PX, LEAST_PX2 = 1.0, 1e-4


def blocks(rng: np.random.Generator, count: int) -> tuple[np.ndarray, ...]:
    """The shifts of blocks around one, their curvatures, scores and variances."""
    roots = rng.normal(size=(2, count, 2, 2)) + 4 * np.eye(2)
    curvature, variance = roots @ roots.transpose(0, 1, 3, 2)
    shifts = rng.normal((0.4, -0.3), 0.2, (count, 2))
    return shifts, curvature, rng.normal(size=(count, 2)), variance


@pytest.mark.parametrize("count", [1, 2, 7])
def test_the_most_likely_shift_and_how_far_blocks_scatter_about_it(count):
    shifts, curvature, score, variance = blocks(np.random.default_rng(count), count)
    agree, shift, covariance, own = agreed(
        shifts, np.ones(count, bool), curvature, score, variance, 10.0, LEAST_PX2
    )
    assert agree.all()
    one_by_one = np.linalg.inv(curvature)
    assert own == pytest.approx(one_by_one @ variance @ one_by_one + LEAST_PX2 * np.eye(2))
    inverse = np.linalg.inv(curvature.sum(axis=0))
    assert shift == pytest.approx(inverse @ (curvature @ shifts[:, :, None]).sum(axis=0)[:, 0])
    off = shifts - shift
    chi2 = (off[:, None, :] @ np.linalg.inv(own) @ off[:, :, None]).sum()
    more = max(chi2 / max(2 * count - 2, 1), 1.0)
    assert covariance == pytest.approx(more * inverse @ variance.sum(axis=0) @ inverse)


def test_what_is_mute_lost_or_far_from_most_has_no_say():
    shifts, curvature, score, variance = blocks(np.random.default_rng(1), 6)
    shifts[0], shifts[1] = (9.0, 9.0), np.nan
    telling = np.array([True, True, False, True, True, True])
    said = agreed(shifts, telling, curvature, score, variance, APART_PX, LEAST_PX2)
    assert said[0].tolist() == [False, False, False, True, True, True]
    alone = agreed(
        shifts[3:], np.ones(3, bool), curvature[3:], score[3:], variance[3:], APART_PX, LEAST_PX2
    )
    for together, apart in zip(said[1:], alone[1:], strict=True):
        assert together == pytest.approx(apart)


def test_blocks_of_which_none_tells_agree_on_nothing():
    shifts, *rest = blocks(np.random.default_rng(2), 3)
    agree, _, _, own = agreed(shifts, np.zeros(3, bool), *rest, APART_PX, LEAST_PX2)
    assert (agree.any(), len(own)) == (False, 0)
