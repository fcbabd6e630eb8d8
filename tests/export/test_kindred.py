"""Light of another specimen: other contrast and details, the same structures, nothing cut off."""

import numpy as np
import pytest

from export.datasets.kindred import BRIGHT_PERCENTILE, kindred

pytestmark = pytest.mark.export
RNG = np.random.default_rng(0)
SLOW = np.sin(np.arange(96) / 9)[:, None] * np.cos(np.arange(80) / 7)[None, :]
FAINT = (0.8 + 0.05 * SLOW + 0.002 * RNG.standard_normal((96, 80))).astype(np.float32)
DEEP = (0.5 + 0.4 * SLOW + 0.02 * RNG.standard_normal((96, 80))).astype(np.float32)


def contrast(light: np.ndarray) -> float:
    """Return how far the dark lies below the bright level, as a share of it."""
    dark, bright = np.percentile(light[::8, ::8], [5, BRIGHT_PERCENTILE])
    return float((bright - dark) / bright)


def roughness(light: np.ndarray) -> float:
    """Return how much neighbours differ, as a share of the contrast."""
    return float(np.abs(np.diff(light, axis=1)).mean() / light.mean() / contrast(light))


def drawn(light: np.ndarray, *, count: int = 80) -> list[np.ndarray]:
    return [kindred(light, np.random.default_rng(seed)) for seed in range(count)]


def test_contrast_and_details_go_both_ways():
    gains = np.array([contrast(seen) for seen in drawn(FAINT)]) / contrast(FAINT)
    assert 0.6 < gains.min() < 0.8
    assert 1.25 < gains.max() < 1.6
    rough = np.array([roughness(seen) for seen in drawn(DEEP)]) / roughness(DEEP)
    assert rough.min() < 0.8
    assert rough.max() > 1.05


def test_structures_stay():
    for seen in drawn(DEEP, count=20):
        assert np.corrcoef(seen.ravel(), DEEP.ravel())[0, 1] > 0.98


@pytest.mark.parametrize("light", [FAINT, DEEP], ids=["faint", "deep"])
def test_nothing_is_cut_off(light):
    for seen in drawn(light):
        assert 0 < seen.min() < seen.max() <= 1
        ends = (seen == seen.min()).mean() + (seen == seen.max()).mean()
        assert ends < 0.001


def test_what_is_flat_stays_flat_and_the_same_draw_gives_the_same():
    flat = np.full((32, 32), 0.5, np.float32)
    assert all(seen == pytest.approx(flat, abs=1e-6) for seen in drawn(flat, count=20))
    one, other = (kindred(DEEP, np.random.default_rng(5)) for _ in range(2))
    assert one.tobytes() == other.tobytes()
