"""What the loops behind matching return, against the same by NumPy and OpenCV."""

import cv2
import numpy as np
import pytest
from scipy import fft

from runtime.stitch.match.correlation import LEAST_SHARE, WHITENING
from runtime.stitch.match.correlation_kernel import cross_evened
from runtime.stitch.match.likelihood_kernel import crossed, crossed_together, sigmas_of
from runtime.stitch.match.peaks_kernel import crests
from runtime.stitch.match.phase import evened


@pytest.fixture(scope="module")
def spectra() -> np.ndarray:
    pictures = np.random.default_rng(0).normal(size=(2, 3, 24, 30)).astype(np.float32)
    return fft.rfft2(pictures)


def test_cross_spectra_are_products_with_the_conjugate(spectra):
    a, b = spectra
    assert crossed(a, b) == pytest.approx(a * b.conj(), rel=1e-5, abs=1e-4)
    assert crossed_together(a, b) == pytest.approx((a * b.conj()).sum(0, keepdims=True), abs=1e-3)


def test_a_cross_spectrum_comes_plain_and_evened(spectra):
    a, b = spectra[:, 0]
    plain, even = cross_evened(a, b, LEAST_SHARE, WHITENING)
    assert plain == pytest.approx(a * b.conj(), rel=1e-5, abs=1e-4)
    assert even == pytest.approx(evened(a * b.conj()), rel=1e-5, abs=1e-4)
    assert not even[0].any()
    assert not even[:, 0].any()


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("radius", [1, 3])
def test_crests_are_what_no_point_around_exceeds(share, radius):
    surface = np.random.default_rng(1).normal(size=(31, 17)).astype(np.float32)
    surface[5, 5:7] = surface.max() + 1  # a plateau has two
    around = cv2.dilate(surface, np.ones((2 * radius + 1,) * 2, np.uint8))
    expected = np.argwhere(surface >= np.maximum(around, share * surface.max()))
    np.testing.assert_array_equal(crests(surface, radius, share), expected)


def test_a_block_without_texture_tells_nothing():
    variance = np.array([[[2.0, 0.5], [0.5, 6.0]]] * 2)
    assert sigmas_of(variance, np.array([4.0, 0.0])).tolist() == [0.5, np.inf]
