"""What a guard is shown as foreign: its pictures, and the views that are made of them."""

import numpy as np
import pytest

from export.datasets.foreign import PICTURES, foreign_light, pictures
from export.datasets.patterns import PATTERNS, pattern

pytestmark = pytest.mark.export


def drawn(count: int, shape: tuple[int, int] = (96, 80)) -> list[np.ndarray]:
    return [foreign_light(shape, np.random.default_rng(seed)) for seed in range(count)]


def test_every_picture_has_a_kind_and_its_origin_is_named():
    kinds = pictures()
    files = {file.name for file in PICTURES.glob("*.png")}
    assert sum(map(len, kinds.values())) == len(files)
    assert len(kinds) == 9
    origin = (PICTURES / "ORIGIN.md").read_text(encoding="utf-8")
    assert all(f"`{kind}.png`" in origin or f"`{kind}_1.png`" in origin for kind in kinds)
    for shown in kinds.values():
        for light in shown:
            assert (light.dtype, light.ndim) == (np.float32, 2)
            assert 0 <= light.min() < light.max() <= 1


@pytest.mark.parametrize("shape", [(96, 80), (700, 900)], ids=["part", "continued"])
def test_light_is_of_the_shape_asked_for_and_within_black_and_white(shape):
    for light in drawn(12, shape):
        assert (light.shape, light.dtype) == (shape, np.float32)
        assert light.min() >= 0
        assert light.max() <= 1


def test_the_same_draw_gives_the_same_and_another_another():
    one, other = drawn(2)
    assert foreign_light((96, 80), np.random.default_rng(0)).tobytes() == one.tobytes()
    assert not np.array_equal(one, other)


def test_some_are_out_of_focus_and_some_are_sharp():
    rough = [np.abs(np.diff(light, axis=1)).mean() / (light.std() + 1e-6) for light in drawn(60)]
    assert np.quantile(rough, 0.9) > 3 * np.quantile(rough, 0.1)


@pytest.mark.parametrize("kind", PATTERNS)
def test_patterns_differ_from_draw_to_draw_and_fill_the_field(kind):
    one, other = (kind((96, 80), np.random.default_rng(seed)) for seed in (1, 2))
    assert one.shape == (96, 80)
    assert 0.01 < one.std() < 0.3
    assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.3


def test_every_pattern_is_drawn_some_time_within_black_and_white():
    drawn_ones = [pattern((64, 64), np.random.default_rng(seed)) for seed in range(30)]
    assert all(0 <= one.min() < one.max() <= 1 for one in drawn_ones)
    assert len({one.tobytes() for one in drawn_ones}) == 30
