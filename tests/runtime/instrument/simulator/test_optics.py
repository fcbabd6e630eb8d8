from dataclasses import replace

import numpy as np
import pytest

from runtime.config.port_settings import BentSection
from runtime.instrument.simulator.lens import lens
from runtime.instrument.simulator.optics import blur_sigma_um, transmitted
from runtime.instrument.simulator.truth import specimen_from_px
from tests.runtime.instrument.simulator.exposures import SIZE, STILL


@pytest.fixture
def see(grating, grating_specimen, objectives):
    """Returns the grating's complex amplitudes as seen in one exposure."""

    def see(exposure):
        image = transmitted(grating_specimen, objectives[exposure.objective], exposure, **SIZE)
        return np.array(grating.read(image, pixel_um=exposure.pixel_size_um))

    return see


@pytest.mark.parametrize("defocus_um", [0.0, 3.0, 12.0])
@pytest.mark.parametrize("shift_um", [0.05, 0.185, 1.0, 2.6])
def test_a_known_shift_is_found_to_a_hundredth_of_a_pixel(see, grating, shift_um, defocus_um):
    here = replace(STILL, defocus_um=defocus_um, centre_um=(3.1, -7.3))
    there = replace(here, centre_um=(3.1 + shift_um, -7.3 - shift_um))
    turned = np.angle(see(there) / see(here)) * grating.period_um / (2 * np.pi)
    assert turned == pytest.approx([shift_um, -shift_um], abs=0.01 * STILL.pixel_size_um)


def test_the_specimens_zero_is_the_middle_of_the_image(see):
    assert np.angle(see(STILL)) == pytest.approx([0.0, 0.0], abs=0.005)


@pytest.mark.parametrize("objective", ["10x", "20x"])
@pytest.mark.parametrize("defocus_um", [0.0, 2.0, -4.0, 8.0])
def test_contrast_falls_as_theory_says(see, grating, objectives, objective, defocus_um):
    pixel_um = objectives[objective].pixel_size_um
    exposure = replace(STILL, objective=objective, defocus_um=defocus_um, pixel_size_um=pixel_um)
    sigma_um = blur_sigma_um(objectives[objective], exposure)
    left = np.exp(-2 * (np.pi * sigma_um / grating.period_um) ** 2)
    assert np.abs(see(exposure)) == pytest.approx(50 / 255 * left * np.ones(2), rel=0.02, abs=5e-4)


def test_more_defocus_is_always_more_blur(see):
    contrasts = [
        np.abs(see(replace(STILL, defocus_um=dz))).sum() for dz in np.arange(0.0, 24.0, 0.75)
    ]
    assert np.all(np.diff(contrasts) < 1e-4)
    assert contrasts[-1] < 0.25 * contrasts[0]


def test_a_turned_camera_turns_the_picture(grating, grating_specimen, objectives):
    """Along the image's x axis a turned camera also travels across the grating's other wave."""
    turned = replace(STILL, rotation_rad=0.02)
    image = transmitted(grating_specimen, objectives["10x"], turned, **SIZE)
    half = SIZE["width_px"] // 2
    left = grating.read(image[:, :half], pixel_um=0.5)[1]
    right = grating.read(image[:, half:], pixel_um=0.5)[1]
    fallen_um = np.angle(right / left) * grating.period_um / (2 * np.pi)
    assert fallen_um == pytest.approx(half * 0.5 * 0.02, rel=0.05)


def test_smear_and_defocus_widen_the_blur(objectives):
    optics = objectives["20x"]
    sharp = blur_sigma_um(optics, STILL)
    assert blur_sigma_um(optics, replace(STILL, smear_um=20.0)) == pytest.approx(
        np.hypot(sharp, 20 / np.sqrt(12))
    )
    assert blur_sigma_um(optics, replace(STILL, defocus_um=-8.0)) == pytest.approx(
        np.hypot(sharp, 0.5 * 8 / 2)
    )


def test_beyond_the_picture_the_slide_is_clear(grating_specimen, objectives):
    away = replace(STILL, centre_um=(5000.0, 5000.0))
    image = transmitted(grating_specimen, objectives["10x"], away, **SIZE)
    assert image.dtype == np.float32
    assert np.ptp(image) < 1e-6
    assert image.mean() == pytest.approx(245 / 255)


@pytest.mark.parametrize("kind", ["radial", "scan"])
@pytest.mark.parametrize("corner_px", [6.0, -8.0])
def test_a_bent_camera_sees_every_point_where_theory_has_it(
    grating, grating_specimen, objectives, kind, corner_px
):
    """Known in closed form: the grating's value at the straightened place of every pixel."""
    bend = lens(BentSection(kind=kind, corner_px=corner_px), **SIZE)
    turned = replace(STILL, rotation_rad=0.012, centre_um=(3.1, -7.3))
    image = transmitted(grating_specimen, objectives["10x"], turned, **SIZE, distortion=bend)
    y, x = np.mgrid[0 : SIZE["height_px"], 0 : SIZE["width_px"]].astype(float)
    straight = bend.straightened(np.column_stack([x.ravel(), y.ravel()]))
    middle = np.array([(SIZE["width_px"] - 1) / 2, (SIZE["height_px"] - 1) / 2])
    turn = specimen_from_px(rotation_rad=0.012, pixel_size_um=0.5)
    at = np.array(turned.centre_um) + (straight - middle) @ turn.T
    per_um = 2 * np.pi / grating.period_um
    left = np.exp(-0.5 * (per_um * blur_sigma_um(objectives["10x"], turned)) ** 2)
    expected = (128 + 50 * left * np.cos(per_um * at).sum(axis=1)).reshape(image.shape) / 255
    steepest = 50 / 255 * left * per_um * STILL.pixel_size_um
    off_px = np.abs(image - expected) / steepest
    assert np.sqrt(np.mean(off_px**2)) < 0.02
    assert off_px.max() < 0.1
    corners = np.array([(0.0, 0.0), (239.0, 0.0), (0.0, 199.0), (239.0, 199.0)])
    moved = np.hypot(*(bend.straightened(corners) - corners).T)
    assert moved.max() == pytest.approx(abs(corner_px))
    assert bend.straightened(middle[None])[0] == pytest.approx(middle)
