"""The guard fitted: what its limit lets through, what it does not, and its record."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from export.tasks.classify.guard import ALLOWANCE, LEAST_BLANK_LIMIT, FittedGuard, fit
from runtime.preprocess.inputs import sample
from runtime.preprocess.spec import PreprocessSpec
from runtime.tasks.classify.guard import Guard, Verdict

pytestmark = pytest.mark.export
SPEC = PreprocessSpec(height_px=64, width_px=64)


def pictures(count: int, *, seed: int, roughness: float = 1.5) -> list[np.ndarray]:
    """Return (96, 96) uint16 random fields whose spectrum falls with that power, and noise."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(96)[:, None], np.fft.rfftfreq(96)[None, :]) + 0.01
    found = []
    for _ in range(count):
        spectrum = np.fft.rfft2(rng.standard_normal((96, 96))) / frequency**roughness
        smooth = np.fft.irfft2(spectrum)
        scaled = 2000 + rng.uniform(200, 400) * smooth / smooth.std()
        noisy = scaled + 8 * rng.standard_normal((96, 96))
        found.append(np.clip(noisy, 0, 4095).astype(np.uint16))
    return found


@pytest.fixture(scope="module")
def fitted() -> FittedGuard:
    guard = fit(pictures(150, seed=1), pictures(100, seed=2), SPEC)
    assert guard is not None
    return guard


def judge(fitted: FittedGuard, pixels: np.ndarray) -> Verdict:
    guard = Guard(
        spec=SPEC,
        mean=fitted.mean,
        whitening=fitted.whitening,
        limit=fitted.limit,
        blank_limit=fitted.blank_limit,
    )
    return guard.judge([guard.look(pixels, sample(pixels, SPEC))])


def test_few_fresh_views_of_the_same_kind_are_doubted(fitted):
    doubted = [bool(judge(fitted, pixels).doubt) for pixels in pictures(100, seed=3)]
    assert np.mean(doubted) <= 0.03
    assert fitted.false_alarms <= 0.01


@pytest.mark.parametrize("roughness", [0.8, 2.5])
def test_another_texture_is_doubted(fitted, roughness):
    doubts = [judge(fitted, p).doubt for p in pictures(30, seed=4, roughness=roughness)]
    assert all(doubts)


def test_the_limit_is_the_one_stated(fitted):
    distances = [judge(fitted, p).strangeness * fitted.limit for p in pictures(100, seed=2)]
    usual = np.quantile(distances, 0.99, method="higher")
    assert fitted.limit == pytest.approx(ALLOWANCE * usual)
    assert fitted.blank_limit == LEAST_BLANK_LIMIT


def test_too_few_views_make_no_guard():
    assert fit(pictures(19, seed=1), pictures(20, seed=2), SPEC) is None
    assert fit(pictures(30, seed=1), pictures(4, seed=2), SPEC) is None


def test_the_manifest_says_of_the_guard_what_was_fitted(fitted):
    trust, arrays = fitted.trust(), fitted.arrays()
    assert arrays[trust.mean] is fitted.mean
    assert arrays[trust.whitening] is fitted.whitening
    assert (trust.limit, trust.blank_limit) == (fitted.limit, fitted.blank_limit)
    assert trust.false_alarms == fitted.false_alarms
