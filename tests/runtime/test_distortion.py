import numpy as np
import pytest

from runtime.distortion import Distortion, exponents

SHAPE_PX = (300, 400)


def field(degree: int, *, largest_px: float = 8.0) -> Distortion:
    """A random field of a degree that moves the rim by up to `largest_px`."""
    raw = np.random.default_rng(degree).normal(size=(len(exponents(degree)), 2))
    scale = largest_px / Distortion(SHAPE_PX, degree, raw).largest_px
    return Distortion(SHAPE_PX, degree, raw * scale)


@pytest.mark.parametrize("degree", [2, 3, 5])
def test_bending_undoes_straightening(degree: int) -> None:
    points = np.random.default_rng(1).uniform((0, 0), (399, 299), (50, 2))
    bends = field(degree)
    assert bends.largest_px == pytest.approx(8.0)
    assert np.abs(bends.straightened(points) - points).max() > 1
    assert np.allclose(bends.bent(bends.straightened(points)), points, atol=1e-3)


def test_the_middle_and_its_scale_stay() -> None:
    middle = np.array([[199.5, 149.5]])
    step = np.array([[1e-3, 0.0], [0.0, 1e-3]])
    bends = field(4)
    assert np.allclose(bends.straightened(middle), middle)
    assert np.allclose(bends.straightened(middle + step) - middle, step, atol=1e-6)


def test_a_radial_field_of_the_third_order_is_the_lens_makers() -> None:
    """x (1 + k r^2): the terms u^3 and u v^2 in x, v^3 and u^2 v in y."""
    wanted = {(3, 0): (2.0, 0.0), (1, 2): (2.0, 0.0), (0, 3): (0.0, 2.0), (2, 1): (0.0, 2.0)}
    rows = [wanted.get(term, (0.0, 0.0)) for term in exponents(3)]
    away = np.array([[199.5 + 120, 149.5 - 160]])
    moved = Distortion(SHAPE_PX, 3, np.array(rows)).straightened(away) - away
    assert np.allclose(moved, 2.0 * 1.0 * np.array([[0.6, -0.8]]))
