"""Waves against theory: where a defocused picture goes, its fringes, what a lens passes."""

import numpy as np
import pytest

from runtime.instrument.simulator.wave_optics import (
    ElectronLens,
    LightLens,
    finest_um,
    intensity,
    reach_um,
    source_points,
)

PIXEL_UM, SIDE_PX = 0.25, 384
LIGHT = LightLens(na=0.5, wavelength_um=0.53)
# 200 keV, an aperture that no test reaches, 0.4 nm pixels.
ELECTRONS = ElectronLens(wavelength_um=2.51e-6, aperture_rad=0.012, spherical_um=1200.0)
ELECTRON_PIXEL_UM = 4e-4


def frequencies(pixel_um):
    f = np.fft.fftfreq(SIDE_PX, pixel_um)
    return f[None, :], f[:, None]


def texture(*, finest_um, pixel_um=PIXEL_UM, seed=0):
    """Return a real picture of mean 0 and spread 1 without detail below `finest_um`."""
    fx, fy = frequencies(pixel_um)
    grain = np.fft.fft2(np.random.default_rng(seed).normal(size=(SIDE_PX, SIDE_PX)))
    smooth = np.fft.ifft2(grain * np.exp(-0.5 * (finest_um**2) * (fx**2 + fy**2))).real
    return (smooth - smooth.mean()) / smooth.std()


def shift_px(here, there):
    """Return how far `there` lies from `here` along x, to a hundredth of a pixel or so."""
    cross = np.fft.fft2(there - there.mean()) * np.conj(np.fft.fft2(here - here.mean()))
    fx = np.fft.fftfreq(SIDE_PX)[None, :]
    # The slope of the phase along x at low frequencies, weighted by power.
    low = (np.abs(fx) < 0.03) & (np.abs(fx).T < 0.03) & (np.abs(fx) > 0)
    # Wrapped phases of large shifts: first the whole pixels by the peak.
    peak = int(np.argmax(np.fft.ifft2(cross).real.max(axis=0)))
    whole = peak - SIDE_PX if peak > SIDE_PX // 2 else peak
    phase = np.angle(cross * np.exp(2j * np.pi * fx * whole))
    weight = np.abs(cross) * low
    slope = (weight * phase * fx).sum() / (weight * fx**2).sum()
    return whole - slope / (2 * np.pi)


@pytest.mark.parametrize("defocus_um", [-20.0, -4.0, 6.0, 24.0])
@pytest.mark.parametrize("sine", [0.1, 0.3])
def test_opposite_sources_move_the_picture_by_2_z_tan_theta(sine, defocus_um):
    amplitude = (0.8 + 0.05 * texture(finest_um=8.0)).astype(np.complex64)
    left, right = (
        intensity(amplitude, LIGHT, pixel_um=PIXEL_UM, defocus_um=defocus_um, tilts=[(s, 0.0)])
        for s in (sine, -sine)
    )
    expected_um = 2 * defocus_um * sine / np.sqrt(1 - sine**2)
    assert shift_px(right, left) * PIXEL_UM == pytest.approx(expected_um, rel=0.02)


def test_a_medium_bends_the_light_and_the_shift():
    oil = LightLens(na=0.5, wavelength_um=0.53, refractive_index=1.5)
    amplitude = (0.8 + 0.05 * texture(finest_um=8.0)).astype(np.complex64)
    left, right = (
        intensity(amplitude, oil, pixel_um=PIXEL_UM, defocus_um=20.0, tilts=[(s, 0.0)])
        for s in (0.2, -0.2)
    )
    expected_um = 2 * 20.0 * 0.2 / np.sqrt(1 - 0.2**2)
    assert shift_px(right, left) * PIXEL_UM == pytest.approx(expected_um, rel=0.02)


@pytest.mark.parametrize("defocus_um", [5.0, 20.0, -20.0])
@pytest.mark.parametrize("sine", [0.0, 0.2])
def test_a_weak_phase_object_has_the_fringes_of_theory(sine, defocus_um):
    """|I|/|φ| = 2 |sin πz(2kz(f0) - kz(f0 + f) - kz(f0 - f))| where both sidebands pass."""
    phase = 0.02 * texture(finest_um=1.0)
    image = intensity(
        np.exp(1j * phase).astype(np.complex64),
        LIGHT,
        pixel_um=PIXEL_UM,
        defocus_um=defocus_um,
        tilts=[(sine, 0.0)],
    )
    fx, fy = frequencies(PIXEL_UM)
    per_um, f0 = 1 / 0.53, sine / 0.53

    def axial(at):
        return np.sqrt(per_um**2 - np.minimum((at) ** 2 + fy**2, per_um**2))

    path = 2 * np.sqrt(per_um**2 - f0**2) - axial(f0 + fx) - axial(f0 - fx)
    law = 2 * np.abs(np.sin(np.pi * defocus_um * path)) * np.sinc(fx * PIXEL_UM)
    law = law * np.sinc(fy * PIXEL_UM)
    spectrum = np.abs(np.fft.fft2(phase))
    both = (np.hypot(f0 + np.abs(fx), fy) < 0.97 * LIGHT.cutoff) & (np.hypot(fx, fy) > 0)
    strong = both & (spectrum > 0.05 * spectrum.max())
    seen = np.abs(np.fft.fft2(image))[strong] / spectrum[strong]
    assert strong.sum() > 2000
    assert np.corrcoef(seen, law[strong])[0, 1] > 0.99


def test_one_sources_spectrum_does_not_know_above_from_below_on_weak_objects():
    """The trap for whoever learns focus from spectra: nearly the same at z and -z, not at z + 1."""
    fx, fy = frequencies(PIXEL_UM)
    inside = (np.hypot(fx, fy) > 0.05) & (np.hypot(fx, fy) < LIGHT.cutoff - 0.2 / 0.53)

    def spectrum(z):
        phase = np.exp(0.03j * texture(finest_um=0.5)).astype(np.complex64)
        image = intensity(phase, LIGHT, pixel_um=PIXEL_UM, defocus_um=z, tilts=[(0.2, 0.0)])
        return np.log(np.abs(np.fft.fft2(image))[inside])

    mirrored = np.std(spectrum(8.0) - spectrum(-8.0))
    beside = np.std(spectrum(8.0) - spectrum(9.0))
    assert mirrored < 0.5 * beside


def test_a_source_of_some_size_blurs_out_of_focus_as_its_picture_there_does():
    """Each point moves the picture by its own z tanθ: a wave of frequency f loses J-like contrast,
    for seven points exactly the mean of their phases.
    """
    period_um, defocus_um, radius = 8.0, 20.0, 0.06
    x = np.arange(SIDE_PX) * PIXEL_UM
    grating = np.ones((SIDE_PX, 1)) * (0.8 + 0.02 * np.cos(2 * np.pi * x / period_um))
    points = source_points((0.0, 0.0), radius=radius)

    def contrast(tilts):
        image = intensity(
            grating.astype(np.complex64),
            LIGHT,
            pixel_um=PIXEL_UM,
            defocus_um=defocus_um,
            tilts=tilts,
        )
        return abs(np.fft.fft(image.mean(axis=0))[round(SIDE_PX * PIXEL_UM / period_um)])

    moves_um = [defocus_um * sx / np.sqrt(1 - sx**2 - sy**2) for sx, sy in points]
    expected = abs(np.mean(np.exp(2j * np.pi * np.array(moves_um) / period_um)))
    assert 0.3 < expected < 0.9
    assert contrast(points) / contrast(points[:1]) == pytest.approx(expected, rel=0.03)


def test_seven_points_have_the_spread_of_the_disc():
    points = np.array(source_points((0.1, -0.2), radius=0.08))
    assert points.mean(axis=0) == pytest.approx([0.1, -0.2])
    assert ((points - (0.1, -0.2)) ** 2).sum(axis=1).mean() == pytest.approx(0.08**2 / 2)
    assert source_points((0.1, 0.0), radius=0.0) == ((0.1, 0.0),)


@pytest.mark.parametrize("defocus_um", [0.0, 15.0])
def test_no_light_is_made_and_none_is_lost_that_the_aperture_passes(defocus_um):
    """By Parseval: the mean intensity is the power of the frequencies inside the aperture."""
    field = np.exp(1j * texture(finest_um=0.6)) * (0.7 + 0.1 * texture(finest_um=2.0, seed=1))
    image = intensity(
        field.astype(np.complex64), LIGHT, pixel_um=PIXEL_UM, defocus_um=defocus_um,
        tilts=[(0.2, 0.0)],
    )  # fmt: skip
    fx, fy = frequencies(PIXEL_UM)
    inside = np.hypot(fx + 0.2 / 0.53, fy) <= LIGHT.cutoff
    power = (np.abs(np.fft.fft2(field)) ** 2)[inside].sum() / SIDE_PX**4
    assert image.mean() == pytest.approx(power, rel=1e-4)
    assert power < (np.abs(field) ** 2).mean()


def test_a_clear_slide_is_1_inside_the_aperture_and_dark_outside():
    clear = np.ones((64, 64), np.complex64)
    inside, outside = (
        intensity(clear, LIGHT, pixel_um=PIXEL_UM, defocus_um=9.0, tilts=[(sine, 0.0)])
        for sine in (0.45, 0.55)
    )
    assert inside == pytest.approx(np.ones((64, 64)), abs=1e-5)
    assert outside.max() < 1e-9


def electron_transfer(lens, defocus_um, amplitude=0.0):
    """Return what an image shows of every frequency of a weak object, over that object's."""
    phase = 0.004 * texture(finest_um=1e-4, pixel_um=ELECTRON_PIXEL_UM)
    damping = amplitude / np.sqrt(1 - amplitude**2)
    image = intensity(
        np.exp((1j - damping) * phase).astype(np.complex64),
        lens,
        pixel_um=ELECTRON_PIXEL_UM,
        defocus_um=defocus_um,
        tilts=[(0.0, 0.0)],
    )
    fx, fy = frequencies(ELECTRON_PIXEL_UM)
    square = np.sinc(fx * ELECTRON_PIXEL_UM) * np.sinc(fy * ELECTRON_PIXEL_UM)
    seen = np.fft.fft2(image) / np.fft.fft2(phase) / square
    return seen.real * np.sqrt(1 - amplitude**2) / 2, fx, fy


@pytest.mark.parametrize("amplitude", [0.0, 0.1])
@pytest.mark.parametrize("under_um", [0.6, 1.5])
def test_an_electron_image_has_the_contrast_transfer_of_theory_and_its_zeros(under_um, amplitude):
    """CTF = -sin[πλk²(Δf - ½λ²k²Cs) + arcsin w], Δf counted as underfocus."""
    seen, fx, fy = electron_transfer(ELECTRONS, -under_um, amplitude)
    k, wave = np.hypot(fx, fy), ELECTRONS.wavelength_um
    chi = np.pi * wave * k**2 * (under_um - wave**2 * k**2 * ELECTRONS.spherical_um / 2)
    theory = -np.sin(chi + np.arcsin(amplitude))
    inside = (k > 0) & (k < 1000)
    assert np.corrcoef(seen[inside], theory[inside])[0, 1] > 0.99
    # The rings around the first zeros are dark, and bright half way between.
    for order in (1, 2, 3):
        target = order * np.pi - np.arcsin(amplitude)
        zero = np.sqrt(target / (np.pi * wave * under_um))
        ring = np.abs(k - zero) < 6
        between = np.abs(k - zero * np.sqrt((order - 0.5) / order)) < 6
        assert np.abs(seen[ring]).mean() < 0.25 * np.abs(seen[between]).mean()


def test_astigmatism_moves_the_zeros_apart_along_and_across_it():
    lens = ElectronLens(wavelength_um=2.51e-6, aperture_rad=0.012, astigmatism_um=0.4)
    seen, fx, fy = electron_transfer(lens, -1.2)
    along = np.abs(fy[:, 0]) < 3
    for line, under_um in ((seen[along][0], 1.6), (seen[:, np.abs(fx[0]) < 3][:, 0], 0.8)):
        k = fx[0]
        theory = -np.sin(np.pi * lens.wavelength_um * k**2 * under_um)
        inside = (np.abs(k) > 0) & (np.abs(k) < 1000)
        assert np.corrcoef(line[inside], theory[inside])[0, 1] > 0.97


@pytest.mark.parametrize("defocus_um", [-6.0, 5.0])
def test_a_tilted_beam_moves_the_picture_as_theory_says(defocus_um):
    """Tilts ±β: D = 2β(Δf + Cs β²)."""
    tilt_rad = 5e-3
    phase = 0.2 * texture(finest_um=20 * ELECTRON_PIXEL_UM, pixel_um=ELECTRON_PIXEL_UM)
    amplitude = (0.8 + 0.3 * phase).astype(np.complex64)
    plus, minus = (
        intensity(
            amplitude,
            ELECTRONS,
            pixel_um=ELECTRON_PIXEL_UM,
            defocus_um=defocus_um,
            tilts=[(sine, 0.0)],
        )
        for sine in (tilt_rad, -tilt_rad)
    )
    expected_um = 2 * tilt_rad * (defocus_um + ELECTRONS.spherical_um * tilt_rad**2)
    assert shift_px(minus, plus) * ELECTRON_PIXEL_UM == pytest.approx(expected_um, rel=0.02)


def test_what_a_frame_needs_around_it_and_within():
    assert finest_um(LIGHT, [(0.2, 0.0)]) == pytest.approx(0.53 / (2 * 0.7))
    tangent = 0.5 / np.sqrt(1 - 0.5**2)
    near, far = (reach_um(LIGHT, defocus_um=z, tilts=[(0.2, 0.0)]) for z in (0.0, -30.0))
    assert far - near == pytest.approx(2 * 30 * tangent, rel=0.01)
