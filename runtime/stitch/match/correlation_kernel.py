"""The loops behind phase correlation, compiled by Numba and free of the GIL."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, fastmath=True)
def whiten(cross, least_share, exponent, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Fill out (n,) with a cross-spectrum over its magnitudes to an exponent.

    Magnitudes are raised by a share of the highest, so that nothing is divided by zero.
    """
    scale = np.empty(len(cross), np.float32)
    highest = np.float32(0.0)
    for n in range(len(cross)):
        power = cross[n].real ** 2 + cross[n].imag ** 2
        scale[n] = power
        highest = max(highest, power)
    floor = np.float32(least_share) * np.sqrt(highest) + np.float32(1e-20)
    for n in range(len(cross)):
        scale[n] = np.sqrt(scale[n]) + floor
    _raise(scale, -exponent)
    for n in range(len(cross)):
        out[n] = cross[n] * scale[n]


@njit(cache=True, nogil=True, fastmath=True)
def cross_evened(a, b, least_share, exponent):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the cross-spectrum of half spectra a and b (y, x), and the same whitened, without what
    lies on either axis, (2, y, x).
    """
    height, width = a.shape
    both = np.empty((2, height, width), np.complex64)
    for y in range(height):
        for x in range(width):
            both[0, y, x] = a[y, x] * b[y, x].conjugate()
    whiten(both[0].reshape(-1), least_share, exponent, both[1].reshape(-1))
    both[1, 0, :] = 0
    both[1, :, 0] = 0
    return both


@njit(cache=True, nogil=True, fastmath=True)
def _raise(values, exponent):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Raise positive float32 values (n,) to an exponent, to the last digit but one, in place.

    By logarithm and exponential of Cephes (S. Moshier), which loops can do for several at once; the
    C library's power, one by one, is most of what whitening takes.
    """
    bits = values.view(np.int32)
    whole = np.empty(len(values), np.int32)
    for n in range(len(values)):
        # The mantissa lies between the roots of one half and of two.
        whole[n] = (bits[n] - np.int32(0x3F3504F3)) >> np.int32(23)
        bits[n] = bits[n] - (whole[n] << np.int32(23))
    for n in range(len(values)):
        x = values[n] - np.float32(1.0)
        tail = np.float32(7.0376836292e-2) * x - np.float32(1.1514610310e-1)
        tail = tail * x + np.float32(1.1676998740e-1)
        tail = tail * x - np.float32(1.2420140846e-1)
        tail = tail * x + np.float32(1.4249322787e-1)
        tail = tail * x - np.float32(1.6668057665e-1)
        tail = tail * x + np.float32(2.0000714765e-1)
        tail = tail * x - np.float32(2.4999993993e-1)
        tail = tail * x + np.float32(3.3333331174e-1)
        log = x - np.float32(0.5) * x * x + tail * x * x * x
        log2 = np.float32(exponent) * (log * np.float32(1.44269504) + np.float32(whole[n]))
        nearest = np.floor(log2 + np.float32(0.5))
        whole[n] = np.int32(nearest)
        values[n] = (log2 - nearest) * np.float32(0.69314718)
    for n in range(len(values)):
        x = values[n]
        tail = np.float32(1.9875691500e-4) * x + np.float32(1.3981999507e-3)
        tail = tail * x + np.float32(8.3334519073e-3)
        tail = tail * x + np.float32(4.1665795894e-2)
        tail = tail * x + np.float32(1.6666665459e-1)
        tail = tail * x + np.float32(5.0000001201e-1)
        values[n] = tail * x * x + x + np.float32(1.0)
    for n in range(len(values)):
        bits[n] = bits[n] + (whole[n] << np.int32(23))


@njit(cache=True, nogil=True, fastmath=True)
def detail_of(smoothed, local_mean, least_spread, most_sigmas):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return a picture less its local mean, in standard deviations, clipped; 0 for a flat one."""
    height, width = smoothed.shape
    out = np.empty((height, width), np.float32)
    total = squares = 0.0
    for y in range(height):
        for x in range(width):
            value = smoothed[y, x] - local_mean[y, x]
            out[y, x] = value
            total += value
            squares += value * value
    mean = total / (height * width)
    spread = np.sqrt(max(squares / (height * width) - mean * mean, 0.0))
    scale = np.float32(1.0 / spread if spread >= least_spread else 0.0)
    most = np.float32(most_sigmas)
    for y in range(height):
        for x in range(width):
            out[y, x] = min(max(out[y, x] * scale, -most), most)
    return out
