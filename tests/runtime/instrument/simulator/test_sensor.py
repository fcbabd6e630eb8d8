import numpy as np
import pytest

from runtime.instrument.simulator.sensor import (
    DARK_CURRENT_E_PER_S,
    FULL_SCALE,
    GAIN_DN_PER_E,
    OFFSET_DN,
    READ_NOISE_E,
    VIGNETTE_CENTRE,
    Sensor,
    dust,
    vignette,
)

SHAPE = (192, 256)


@pytest.fixture(scope="module")
def sensor():
    return Sensor(seed=5, width_px=SHAPE[1], height_px=SHAPE[0])


def frame(sensor, electrons, key, exposure_ms=10.0):
    light = np.full(SHAPE, electrons, np.float32)
    return sensor.expose(light, exposure_ms=exposure_ms, noise_key=(key,)).astype(np.float64)


def test_variance_grows_with_the_mean_as_emva_1288_says(sensor):
    """Slope K and intercept of the photon transfer curve, from half the variance of differences."""
    dark = np.mean([frame(sensor, 0.0, key).mean() for key in range(4)])
    signal, variance = [], []
    for step, electrons in enumerate(np.linspace(0, 12_000, 9)):
        first, second = (frame(sensor, electrons, 100 * step + n) for n in range(2))
        signal.append((first + second).mean() / 2 - dark)
        variance.append(np.var(first - second) / 2)
    gain, floor = np.polyfit(signal, variance, 1)
    assert gain == pytest.approx(GAIN_DN_PER_E, rel=0.02)
    read_noise_and_rounding = (GAIN_DN_PER_E * READ_NOISE_E) ** 2 + 1 / 12
    assert variance[0] == pytest.approx(read_noise_and_rounding, rel=0.05)
    assert floor == pytest.approx(read_noise_and_rounding, abs=6.0)


def test_noise_averages_down(sensor):
    """The variance of the mean of n frames is that of one over n, the fixed pattern removed."""
    frames = np.array([frame(sensor, 4000.0, key) for key in range(32)])
    single = frames.var(axis=0, ddof=1).mean()
    halves = frames[:16].mean(axis=0) - frames[16:].mean(axis=0)
    assert np.var(halves) == pytest.approx(single * (1 / 16 + 1 / 16), rel=0.05)


def test_the_same_key_gives_the_same_frame_and_another_another(sensor):
    assert np.array_equal(frame(sensor, 900.0, -3), frame(sensor, 900.0, -3))
    assert not np.array_equal(frame(sensor, 900.0, -3), frame(sensor, 900.0, 3))


def test_dark_signal_grows_with_exposure(sensor):
    short = frame(sensor, 0.0, 1, exposure_ms=1.0).mean()
    long = frame(sensor, 0.0, 1, exposure_ms=2001.0).mean()
    assert short == pytest.approx(OFFSET_DN, abs=0.5)
    assert long - short == pytest.approx(2 * DARK_CURRENT_E_PER_S * GAIN_DN_PER_E, rel=0.02)


def test_too_much_light_saturates(sensor):
    flood = frame(sensor, 1e6, 1)
    assert flood.min() == flood.max() == FULL_SCALE


def test_dust_and_shading_stay_where_they_are(sensor):
    """The pattern is the sensor's: a flat field taken once corrects a frame taken later."""
    flat = np.mean([frame(sensor, 8000.0, key) for key in range(16)], axis=0) - OFFSET_DN
    later = np.mean([frame(sensor, 5000.0, 100 + key) for key in range(16)], axis=0) - OFFSET_DN
    assert later.std() / later.mean() > 0.04
    corrected = later / flat
    assert corrected.std() / corrected.mean() < 0.008
    corners = np.median([flat[:20, :20], flat[:20, -20:], flat[-20:, :20], flat[-20:, -20:]])
    assert corners < 0.92 * np.median(flat[80:110, 110:150])


def test_each_seed_has_its_own_dust():
    one, other = (Sensor(seed=s, width_px=SHAPE[1], height_px=SHAPE[0]) for s in (1, 2))
    a, b = frame(one, 8000.0, 1), frame(other, 8000.0, 1)
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] < 0.95


def test_shading_is_centred_where_it_is_said_to_be(sensor):
    """Right of the middle and above it: rows are y, columns x."""
    shade = vignette((401, 601))
    row, column = np.unravel_index(int(np.argmax(shade)), shade.shape)
    assert (column / 600, row / 400) == pytest.approx(VIGNETTE_CENTRE, abs=0.003)
    assert VIGNETTE_CENTRE[0] > 0.5 > VIGNETTE_CENTRE[1]


def test_dust_lies_all_over_a_sensor_that_is_wider_than_high():
    """With rows and columns changed over, the right half of a wide one would be clean."""
    shadow = dust((100, 400), np.random.default_rng(1))
    assert shadow.shape == (100, 400)
    quarters = np.split(shadow, 4, axis=1)
    assert all(quarter.min() < 0.95 for quarter in quarters)
    assert shadow[:50].min() < 0.95
    assert shadow[50:].min() < 0.95
