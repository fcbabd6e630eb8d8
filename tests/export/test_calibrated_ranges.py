"""The range of a tensor's 256 levels: what rounding and cutting off lose together is least."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from hypothesis import given
from hypothesis import strategies as st

from export.quantise.calibration import Histogram, best_range

pytestmark = pytest.mark.export


def histograms(tiles: list[np.ndarray]) -> list[Histogram]:
    """What is observed of a tensor that has these values on the tiles."""
    return [Histogram.of(tile.astype(np.float32)) for tile in tiles]


def loss(tiles: list[np.ndarray], low: float, high: float) -> float:
    """The mean over tiles of the squared error of 256 levels in proportion to the tile's power."""
    step = max((high - low) / 255, 1e-12)
    # As on the device: zero is a level.
    zero = np.rint(-low / step)
    rounded = [(np.clip(np.rint(tile / step) + zero, 0, 255) - zero) * step for tile in tiles]
    return float(
        np.mean(
            [
                np.square(one - tile).sum() / np.square(tile).sum()
                for one, tile in zip(rounded, tiles, strict=True)
                if tile.any()
            ]
        )
    )


def test_one_odd_tile_does_not_coarsen_all_others() -> None:
    rng = np.random.default_rng(3)
    usual = [np.abs(rng.normal(size=4000)) for _ in range(31)]
    tiles = [*usual, 20 * np.abs(rng.normal(size=4000))]
    widest = max(float(tile.max()) for tile in tiles)
    low, high = map(float, best_range(histograms(tiles)))
    assert low == 0
    assert 3 < high < widest
    assert loss(tiles, low, high) < 0.5 * loss(tiles, 0, widest)


def test_evenly_spread_values_keep_their_whole_range() -> None:
    tiles = [np.linspace(-1, 3, 4001) for _ in range(4)]
    low, high = best_range(histograms(tiles))
    assert low == pytest.approx(-1, abs=0.03)
    assert high == pytest.approx(3, abs=0.07)


def test_a_tensor_that_is_always_zero_has_no_range() -> None:
    assert not any(best_range(histograms([np.zeros(16)])))


@given(
    seed=st.integers(0, 2**32 - 1),
    tail=st.floats(0.5, 2),
    shift=st.floats(-3, 3),
    count=st.integers(1, 6),
)
def test_hardly_ever_worse_than_from_least_to_largest(
    seed: int, tail: float, shift: float, count: int
) -> None:
    rng = np.random.default_rng(seed)
    tiles = [shift + np.sign(n) * np.abs(n) ** tail for n in rng.normal(size=(count, 2000))]
    low, high = map(float, best_range(histograms(tiles)))
    assert low <= 0 <= high
    everything = np.concatenate([*tiles, np.zeros(1)])
    widest = loss(tiles, float(everything.min()), float(everything.max()))
    # Rounding is taken to be evenly spread over a step, which few levels are not.
    assert loss(tiles, low, high) <= 1.2 * widest
