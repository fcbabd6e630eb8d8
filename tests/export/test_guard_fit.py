"""The guard fitted: what its limit lets through, what it does not, and its record."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.linear_model import LogisticRegression

from export.tasks.classify.guard import (
    LEAST_BLANK_LIMIT,
    FittedGuard,
    GuardViews,
    fit,
    least_score,
    towards_foreign,
)
from runtime.preprocess.inputs import sample
from runtime.preprocess.spec import PreprocessSpec
from runtime.tasks.classify.descriptor import KIND, describe
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


def views(*, training: int = 150, validation: int = 100) -> GuardViews:
    rough = pictures(30, seed=6, roughness=1.0) + pictures(30, seed=6, roughness=2.2)
    return GuardViews(
        training=pictures(training, seed=1),
        kindred=pictures(60, seed=5),
        foreign=rough,
        validation=pictures(validation, seed=2),
    )


@pytest.fixture(scope="module")
def fitted() -> FittedGuard:
    guard = fit(views(), SPEC)
    assert guard is not None
    return guard


def judge(fitted: FittedGuard, pixels: np.ndarray) -> Verdict:
    guard = Guard(
        spec=SPEC,
        mean=fitted.mean,
        whitening=fitted.whitening,
        specimen_whitening=fitted.specimen_whitening,
        towards=fitted.towards,
        limit=fitted.limit,
        specimen_limit=fitted.specimen_limit,
        foreign_limit=fitted.foreign_limit,
        blank_limit=fitted.blank_limit,
        least_score=0.0,
    )
    return guard.judge([guard.look(pixels, sample(pixels, SPEC, counted=True))], score=1.0)


def test_few_fresh_views_of_the_same_kind_are_doubted(fitted):
    doubted = [bool(judge(fitted, pixels).doubt) for pixels in pictures(100, seed=3)]
    assert np.mean(doubted) <= 0.25  # 10 % of validation beyond either of two limits, and luck
    assert fitted.false_alarms <= 0.2


@pytest.mark.parametrize("roughness", [0.8, 2.5])
def test_another_texture_is_doubted(fitted, roughness):
    doubts = [judge(fitted, p).doubt for p in pictures(30, seed=4, roughness=roughness)]
    assert all(doubts)


def test_the_limit_is_the_one_stated(fitted):
    strange = [judge(fitted, p).strangeness for p in pictures(100, seed=2)]
    # Of views that show less the guard is milder than the limit itself.
    assert 0 < np.mean(np.array(strange) > 1) <= fitted.false_alarms
    assert fitted.blank_limit == LEAST_BLANK_LIMIT


def test_too_few_views_make_no_guard():
    assert fit(views(training=19, validation=20), SPEC) is None
    assert fit(views(training=30, validation=4), SPEC) is None


def test_the_way_towards_what_is_foreign_is_fitted_to_its_end():
    def walks(count: int, *, seed: int, start: float) -> np.ndarray:
        """Return numbers that go together, as the shares of neighbouring codes do."""
        steps = np.random.default_rng(seed).normal(0, 0.05, (count, 40))
        return start + np.cumsum(steps, axis=1)

    known, foreign = walks(300, seed=0, start=0), walks(200, seed=1, start=0.1)
    shown, target = np.concatenate([known, foreign]), np.repeat([0, 1], [300, 200])
    deviation = known.std(axis=0)
    # Another way to the same end.
    other = LogisticRegression(C=3.0, class_weight="balanced", solver="newton-cg", tol=1e-12)
    other.fit((shown - known.mean(axis=0)) / deviation, target)
    wanted = other.coef_[0] / deviation
    wanted /= (known @ wanted).std()
    assert np.allclose(towards_foreign(known, foreign), wanted, rtol=1e-6, atol=1e-6)


def test_the_manifest_says_of_the_guard_what_was_fitted(fitted):
    trust, arrays = fitted.trust(least_score=0.8), fitted.arrays()
    assert arrays[trust.mean] is fitted.mean
    assert arrays[trust.whitening] is fitted.whitening
    assert arrays[trust.specimen_whitening] is fitted.specimen_whitening
    assert arrays[trust.towards] is fitted.towards
    assert trust.foreign_limit == fitted.foreign_limit
    assert (trust.limit, trust.blank_limit) == (fitted.limit, fitted.blank_limit)
    assert (trust.specimen_limit, trust.least_score) == (fitted.specimen_limit, 0.8)
    assert trust.false_alarms == fitted.false_alarms


def test_the_least_score_doubts_the_least_sure_labels_of_the_validation():
    best = np.random.default_rng(0).permutation(np.linspace(0.5, 1.0, 1000))
    scores = np.stack([best, 1 - best], axis=1).astype(np.float32)
    assert (best < least_score(scores)).sum() == 40
    assert (best < least_score(scores[:, ::-1])).sum() == 40
    assert least_score(np.array([[0.0, 1.0]], np.float32)) < 1  # no manifest asks for certainty


def test_the_limit_towards_what_is_foreign_lets_other_specimens_through(fitted):
    def furthest(shown: list[np.ndarray]) -> float:
        seen = [describe(p, sample(p, SPEC, counted=True), SPEC).features for p in shown]
        return float(((np.array(seen) - fitted.mean)[:, KIND] @ fitted.towards).max())

    # Of 60 views the furthest is the one that 0.5 % do not exceed.
    assert fitted.foreign_limit == pytest.approx(1.25 * furthest(list(views().kindred)))
    assert fitted.foreign_limit != pytest.approx(1.25 * furthest(list(views().validation)))
