import numpy as np
import pytest

from runtime.instrument.simulator.ground_truth import ground_truth
from runtime.instrument.simulator.specimen import (
    CLEAR_GREY,
    FEATHER_PX,
    Specimen,
    dusty,
    feathered,
)
from runtime.instrument.simulator.truth import TrueExposure

PICTURE = np.random.default_rng(0).integers(0, 256, (301, 402), dtype=np.uint8)


@pytest.fixture(scope="module")
def section():
    return Specimen()


@pytest.fixture(scope="module")
def labels():
    return ground_truth(picture_px=(5737, 4931), pixel_um=0.25)


def looking_at(x_um, y_um):
    return TrueExposure(
        time_s=0.0,
        exposure_ms=1.0,
        objective="10x",
        light_level=1.0,
        centre_um=(x_um, y_um),
        defocus_um=0.0,
        rotation_rad=0.01,
        pixel_size_um=0.5,
        position_nm=(0, 0, 0),
        frame_index=0,
    )


def test_the_middle_is_untouched_and_the_rim_fades_into_the_slide():
    faded = feathered(PICTURE)
    inner = slice(FEATHER_PX, -FEATHER_PX)
    assert np.array_equal(faded[inner, inner], PICTURE[inner, inner])
    rim = np.concatenate([faded[0], faded[-1], faded[:, 0], faded[:, -1]])
    assert np.all(rim == CLEAR_GREY)
    assert PICTURE.flags.writeable


def test_a_picture_smaller_than_its_feather_still_fades():
    faded = feathered(np.zeros((60, 60), np.uint8))
    assert faded[0, 0] == CLEAR_GREY
    assert faded[30, 30] < 100


def test_every_level_is_the_mean_of_four_pixels():
    levels = Specimen(lambda: PICTURE, pixel_um=1.0).levels
    fine = levels[0][:300, :402].astype(float)
    means = fine.reshape(150, 2, 201, 2).mean(axis=(1, 3))
    assert np.abs(levels[1] - means).max() <= 0.5


@pytest.mark.parametrize("corner", [(-500, -500), (380, 280), (900, 0), (-30, 100)])
def test_a_window_reaches_beyond_the_picture(corner):
    specimen = Specimen(lambda: PICTURE, pixel_um=1.0)
    x0, y0 = corner
    window = specimen.window(level=0, x0=x0, y0=y0, x1=x0 + 90, y1=y0 + 70)
    assert window.shape == (70, 90)
    for row, column in ((0, 0), (69, 89), (35, 45)):
        y, x = y0 + row, x0 + column
        inside = 0 <= y < 301 and 0 <= x < 402
        assert window[row, column] == (specimen.levels[0][y, x] if inside else CLEAR_GREY)


def test_the_committed_section_is_whole(section):
    assert section.levels[0].shape == (4931, 5737)
    assert section.size_um == (1434.25, 1232.75)
    assert section.levels[0][2000:3000, 2500:3500].std() > 20


def test_the_labels_know_tissue_from_resin_and_bare_slide(labels):
    assert (labels.positive, labels.negative) == ("tissue", "resin")
    field = {"width_px": 512, "height_px": 448}
    assert labels.label(looking_at(-100.0, 0.0), **field) == "tissue"
    assert labels.label(looking_at(-650.0, -560.0), **field) == "resin"
    assert labels.positive_share(looking_at(3000.0, 0.0), **field) == 0.0
    assert 0.2 < labels.mask.mean() < 0.6


def test_dust_lies_on_the_specimen_and_is_the_same_for_one_seed():
    clear = np.full((600, 800), 200, np.uint8)
    first, again, other = (dusty(lambda: clear, specks=12, seed=s)() for s in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert (clear == 200).all()
    dark = first < 60
    assert 0.002 < dark.mean() < 0.1
