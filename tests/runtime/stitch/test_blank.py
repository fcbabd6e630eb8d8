"""Which tiles show nothing that could be matched."""

import numpy as np
import pytest

from runtime.stitch.match.blank import is_blank, texture_ratio
from tests.runtime.stitch.stitch_scans import SHAPE_PX, section


@pytest.mark.parametrize("level", [3.0, 40.0])
def test_noise_alone_is_blank_at_any_level(level):
    noise = np.clip(2000 + level * np.random.default_rng(1).normal(size=SHAPE_PX), 0, 65535).astype(
        np.uint16
    )
    assert texture_ratio(noise) == pytest.approx(1.0, abs=0.25)
    assert is_blank(noise)


def test_a_constant_image_is_blank_and_tissue_is_not():
    assert is_blank(np.full(SHAPE_PX, 7, np.uint8))
    assert not is_blank(section()[:224, :256].astype(np.uint8))
