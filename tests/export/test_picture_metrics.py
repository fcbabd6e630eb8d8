"""How like its reference a picture is: against values that other implementations give, and cases
that can be worked out by hand.
"""

import math

import cv2
import numpy as np
import pytest

pytest.importorskip("skimage")

from export.datasets.demis import DemisGrid, DemisTile
from export.evaluate.matching.brisque import brisque, features
from export.evaluate.matching.fsim import fsim, phase_congruency
from export.evaluate.matching.picture import compared, inner_part
from tests.export.demis_set import affine, texture

pytestmark = pytest.mark.export


def picture(shape: tuple[int, int], seed: int) -> np.ndarray:
    """Return a grey picture, whole levels from 0 to 255."""
    return np.rint(texture(shape, seed) / 257.0)


def noisy(grey: np.ndarray, seed: int, sigma: float = 12.0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.clip(grey + sigma * random.standard_normal(grey.shape), 0, 255)


def test_fsim_is_what_piq_has() -> None:
    grey, large = picture((240, 320), 1), picture((600, 520), 2)
    odd = cv2.GaussianBlur(grey, (0, 0), 1)[:201, :203]
    # piq 0.8.0, which needs torchvision: fsim(..., data_range=255, chromatic=False).
    known = [
        (grey, noisy(grey, 0), 0.908224),
        (grey, cv2.GaussianBlur(grey, (0, 0), 2), 0.813478),
        (grey, np.roll(grey, 3, axis=1), 0.807883),
        (grey[:201, :203], odd, 0.964862),
        (large, noisy(large, 1), 0.978947),
    ]
    for a, b, value in known:
        assert fsim(a, b) == pytest.approx(value, abs=5e-6)


def test_fsim_is_one_for_the_same_and_falls_the_more_differs() -> None:
    grey = picture((120, 140), 3)
    assert fsim(grey, grey) == pytest.approx(1.0)
    values = [fsim(grey, noisy(grey, 0, sigma)) for sigma in (2.0, 8.0, 30.0)]
    assert values == sorted(values, reverse=True)
    assert fsim(np.full((40, 40), 9.0), np.full((40, 40), 9.0)) == 1.0
    assert fsim(grey, noisy(grey, 0)) == pytest.approx(fsim(noisy(grey, 0), grey))


def test_phases_agree_at_an_edge_whatever_its_height() -> None:
    edge = np.zeros((64, 64))
    edge[:, 32:] = 1.0
    low, high = phase_congruency(20 * edge)[32], phase_congruency(200 * edge)[32]
    assert low == pytest.approx(high, abs=1e-9)
    assert high[31:33].min() > 0.75
    assert high[20:27].max() < 0.4


def test_brisque_is_what_opencv_has() -> None:
    grey = picture((240, 320), 1)
    # OpenCV 5.0.0 contrib: cv2.quality.QualityBRISQUE_compute with the same model.
    known = [
        (grey, 47.020699),
        (np.rint(noisy(grey, 0)), 48.419758),
        (np.rint(cv2.GaussianBlur(grey, (0, 0), 2)), 63.689449),
        (grey[3:200, 5:312], 46.954887),
    ]
    for one, value in known:
        assert brisque(one) == pytest.approx(value, abs=0.01)
    found = features(np.rint(noisy(grey, 0)))
    assert found.shape == (36,)
    assert found[[0, 1, 5, 12, 18, 21]] == pytest.approx(
        [2.291, 0.4594, 0.1916, 0.1926, 2.62, 0.0944], abs=1e-4
    )


def test_brisque_of_a_blank_picture_is_a_number() -> None:
    assert 0 <= brisque(np.full((64, 64), 100.0)) <= 100


WHOLE = slice(0, 200), slice(0, 220)


def test_a_picture_in_another_tone_is_as_good_as_its_reference() -> None:
    reference = texture((200, 220), 4)
    other = (reference * 0.5 + 9000).astype(np.uint16)
    found = compared(other, reference, part=WHOLE)
    assert found.psnr_db > 90
    assert found.ssim == pytest.approx(1.0, abs=1e-5)
    assert found.fsim == pytest.approx(1.0, abs=1e-5)
    assert found.brisque == pytest.approx(found.reference_brisque, abs=0.05)


def test_noise_costs_what_its_power_is() -> None:
    reference = texture((200, 220), 4)
    grain = 257 * 5 * np.random.default_rng(0).standard_normal(reference.shape)
    shown = np.clip(reference + grain, 0, 65535).astype(np.uint16)
    found = compared(shown, reference, part=WHOLE)
    # 5 grey levels of 255: 20 lg(255 / 5) dB, and the best gain takes a little of it away.
    assert found.psnr_db == pytest.approx(20 * math.log10(51), abs=0.15)
    assert 0.5 < found.ssim < 0.99


def test_what_is_not_covered_counts_as_black() -> None:
    reference = texture((200, 220), 4)
    shown = reference.copy()
    shown[:50] = 0
    hole = float(((reference[:50] / 257.0) ** 2).mean()) / 4
    found = compared(shown, reference, part=WHOLE)
    assert found.psnr_db == pytest.approx(10 * math.log10(255**2 / hole), abs=0.01)
    nothing = compared(np.zeros_like(reference), reference, part=WHOLE)
    assert nothing.psnr_db < 10


def grid(turn_deg: float) -> DemisGrid:
    tiles = tuple(
        DemisTile(
            file="x",
            row=0,
            column=column,
            nominal_px=(0.0, 0.0),
            to_reference=affine(turn_deg, (60.0 + 80 * column, 70.0), 101).tolist(),
        )
        for column in (0, 1)
    )
    return DemisGrid(
        name="g", rows=1, columns=2, tile_shape=(101, 101), nominal_overlap=0.2, reference="r",
        tiles=tiles,
    )  # fmt: skip


def test_the_part_compared_is_covered_by_the_true_tiles() -> None:
    # Centres at x 60 and 140, half a side of 50, two pixels of rim.
    assert inner_part(grid(0.0), (150, 220)) == (slice(22, 119), slice(12, 189))
    rows, columns = inner_part(grid(4.0), (150, 220))
    assert 60 < rows.stop - rows.start < 97
    assert 120 < columns.stop - columns.start < 177
