"""The loops behind the likelihood, compiled by Numba.

Each goes once over the spectra of a few blocks; NumPy would write a dozen arrays as large. Those
that take longer than two threads need to hand the interpreter over are free of its lock.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def cut_out(image, corners, height, width):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the blocks (n, height, width) of a picture (y, x) at corners (n, 2) y, x."""
    out = np.empty((len(corners), height, width), image.dtype)
    for n in range(len(corners)):
        y, x = corners[n]
        out[n] = image[y : y + height, x : x + width]
    return out


@njit(cache=True, fastmath=True)
def level(blocks, down, across, window_y, window_x, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Fill the corners of out (n, y, x) with blocks under a window, less their quadratic shading.

    `down` (3, y) and `across` (3, x) are orthonormal polynomials of order 0, 1, 2 along an axis.
    """
    count, height, width = blocks.shape
    rows = np.empty((3, height), np.float32)
    for n in range(count):
        for y in range(height):
            row = blocks[n, y]
            zeroth = first = second = np.float32(0.0)
            for x in range(width):
                zeroth += row[x]
                first += row[x] * across[1, x]
                second += row[x] * across[2, x]
            rows[0, y], rows[1, y], rows[2, y] = zeroth * across[0, 0], first, second
        share = np.zeros((3, 3), np.float32)
        for i in range(3):
            for j in range(3):
                for y in range(height):
                    share[i, j] += down[i, y] * rows[j, y]
        for y in range(height):
            row = blocks[n, y]
            flat = (
                share[0, 0] * down[0, y] + share[1, 0] * down[1, y] + share[2, 0] * down[2, y]
            ) * across[0, 0]
            slope = share[0, 1] * down[0, y] + share[1, 1] * down[1, y]
            bend = share[0, 2] * down[0, y]
            for x in range(width):
                shading = flat + slope * across[1, x] + bend * across[2, x]
                out[n, y, x] = (row[x] - shading) * (window_y[y] * window_x[x])


@njit(cache=True, fastmath=True)
def ring_power(spectra, ring, used, sums):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add to sums (rings,) the power of spectra (n, y, x) in the bins used."""
    count, height, width = spectra.shape
    for n in range(count):
        for y in range(height):
            for x in range(width):
                if used[y, x]:
                    value = spectra[n, y, x]
                    sums[ring[y, x]] += value.real * value.real + value.imag * value.imag


@njit(cache=True, nogil=True, fastmath=True)
def crossed(a, b):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the cross-spectra (n, y, x) of spectra a and b."""
    count, height, width = a.shape
    out = np.empty((count, height, width), np.complex64)
    for n in range(count):
        for y in range(height):
            for x in range(width):
                out[n, y, x] = a[n, y, x] * b[n, y, x].conjugate()
    return out


@njit(cache=True, nogil=True, fastmath=True)
def crossed_together(a, b):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the sum (1, y, x) of the cross-spectra of spectra a and b, both (n, y, x)."""
    count, height, width = a.shape
    out = np.zeros((1, height, width), np.complex64)
    for n in range(count):
        for y in range(height):
            for x in range(width):
                out[0, y, x] += a[n, y, x] * b[n, y, x].conjugate()
    return out


@njit(cache=True, nogil=True, fastmath=True)
def ring_shared(cross, down, across, ring, used, sums):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add to sums (rings,) the real part of cross-spectra (n, y, x) turned back by a shift.

    `down` (y,) and `across` (x,) are the phases of the shift along either axis.
    """
    count, height, width = cross.shape
    for n in range(count):
        for y in range(height):
            for x in range(width):
                if used[y, x]:
                    sums[ring[y, x]] += (cross[n, y, x] * (down[y] * across[x])).real


@njit(cache=True, fastmath=True)
def phases(frequency, shift):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return what turns a spectrum back by a shift along one axis, (n,)."""
    out = np.empty(len(frequency), np.complex64)
    for n in range(len(frequency)):
        angle = frequency[n] * shift
        out[n] = complex(np.cos(angle), np.sin(angle))
    return out


@njit(cache=True, nogil=True, fastmath=True)
def weights(shared, power2, bins, dependence, trusted, most):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the weight of each ring's bins, the root of its coherence, both (rings,), what they
    tell in all, and how much likelier the blocks are with what they share than without, nats.

    `shared` is the sum of the cross-spectra's real parts over `bins` bins, `power2` the product of
    the powers of both pictures. The squared coherence is 0 where it may as well be chance: below
    the square `trusted` times what that gives.
    """
    weight, root = np.zeros(len(bins), np.float32), np.zeros(len(bins), np.float32)
    told = evidence = 0.0
    for r in range(len(bins)):
        # A bin of the half plane stands for two of the whole.
        chance = dependence / max(2.0 * bins[r], 1.0)
        measured = max(shared[r], 0.0) ** 2 / max(power2[r], 1e-30)
        if measured <= trusted * chance:
            continue
        # The square of a noisy mean is too high by its variance.
        coherence = min(max(measured - (1.0 - measured) * chance, 0.0), most)
        if coherence > 0.0:
            weight[r] = coherence / (1.0 - coherence) * bins[r] / shared[r]
            root[r] = np.sqrt(coherence)
            told += weight[r] * shared[r]
            evidence -= bins[r] / dependence * np.log1p(-coherence)
    return weight, root, told, evidence


@njit(cache=True, nogil=True, fastmath=True)
def count_votes(  # type: ignore[no-untyped-def]  # pragma: no cover
    cross, down, across, frequency_y, frequency_x, ring, used, weight, coherence, terms
):
    """Fill terms (n, 9): curvature xx, xy, yy; score x, y; variance xx, xy, yy; texture.

    `weight` and `coherence` are those of each ring; see `likelihood.Votes`.
    """
    count, height, width = cross.shape
    for n in range(count):
        for y in range(height):
            wy = frequency_y[y]
            for x in range(width):
                w = weight[ring[y, x]]
                if not used[y, x] or w == 0.0:
                    continue
                wx = frequency_x[x]
                value = cross[n, y, x] * (down[y] * across[x])
                real, imaginary = value.real, value.imag
                bend, spread = w * real, w * w * imaginary * imaginary
                terms[n, 0] += wx * wx * bend
                terms[n, 1] += wx * wy * bend
                terms[n, 2] += wy * wy * bend
                terms[n, 3] -= wx * w * imaginary
                terms[n, 4] -= wy * w * imaginary
                terms[n, 5] += wx * wx * spread
                terms[n, 6] += wx * wy * spread
                terms[n, 7] += wy * wy * spread
                seen = np.sqrt(real * real + imaginary * imaginary) * coherence[ring[y, x]]
                terms[n, 8] += 0.5 * (wx * wx + wy * wy) * w * seen


@njit(cache=True)
def steps_of(curvature, score, variance, together):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return Newton's step (n, 2) of each block and its covariance (n, 2, 2), or with `together`
    the one (1, 2) of them all; NaN where the curvature is not positive.
    """
    count, found = len(score), 1 if together else len(score)
    steps, covariances = np.full((found, 2), np.nan), np.full((found, 2, 2), np.nan)
    for n in range(found):
        first, last = (0, count) if together else (n, n + 1)
        xx = xy = yy = x = y = vxx = vxy = vyy = 0.0
        for m in range(first, last):
            xx, xy, yy = xx + curvature[m, 0, 0], xy + curvature[m, 0, 1], yy + curvature[m, 1, 1]
            x, y = x + score[m, 0], y + score[m, 1]
            vxx, vxy, vyy = (
                vxx + variance[m, 0, 0],
                vxy + variance[m, 0, 1],
                vyy + variance[m, 1, 1],
            )
        determinant = xx * yy - xy * xy
        if xx > 0 and determinant > 0:
            ixx, ixy, iyy = yy / determinant, -xy / determinant, xx / determinant
            steps[n, 0], steps[n, 1] = ixx * x + ixy * y, ixy * x + iyy * y
            ax, ay = ixx * vxx + ixy * vxy, ixx * vxy + ixy * vyy
            bx, by = ixy * vxx + iyy * vxy, ixy * vxy + iyy * vyy
            covariances[n, 0, 0] = ax * ixx + ay * ixy
            covariances[n, 0, 1] = covariances[n, 1, 0] = ax * ixy + ay * iyy
            covariances[n, 1, 1] = bx * ixy + by * iyy
    return steps, covariances


@njit(cache=True)
def sigmas_of(variance, texture):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return how surely blocks would tell their shift if they were well aligned, (n,), from the
    fields of `likelihood.Votes`; infinity for one without texture.
    """
    sigmas = np.full(len(texture), np.inf)
    for n in range(len(texture)):
        if texture[n] > 0:
            sigmas[n] = np.sqrt((variance[n, 0, 0] + variance[n, 1, 1]) / 2) / texture[n]
    return sigmas


@njit(cache=True, nogil=True, fastmath=True)
def votes_of(  # type: ignore[no-untyped-def]  # pragma: no cover
    cross, shift, frequency_y, frequency_x, ring, used, bins, power2, dependence, trusted, most
):
    """Return what cross-spectra (n, y, x), turned back by a shift (2,) x, y, say of what is left.

    See `likelihood.Votes` for its fields, in their order, and `weights` for what comes in.
    """
    down, across = phases(frequency_y, shift[1]), phases(frequency_x, shift[0])
    shared = np.zeros(len(bins))
    ring_shared(cross, down, across, ring, used, shared)
    weight, root, told, evidence = weights(shared, power2, bins, dependence, trusted, most)
    count = len(cross)
    terms = np.zeros((count, 9))
    count_votes(cross, down, across, frequency_y, frequency_x, ring, used, weight, root, terms)
    curvature, variance = np.empty((count, 2, 2)), np.empty((count, 2, 2))
    for n in range(count):
        for i in range(2):
            for j in range(2):
                curvature[n, i, j] = terms[n, i + j]
                # Neighbouring bins of a padded spectrum are not independent.
                variance[n, i, j] = dependence * terms[n, 5 + i + j]
    return curvature, terms[:, 3:5].copy(), variance, terms[:, 8].copy(), told, evidence


@njit(cache=True, nogil=True)
def votes_between(a, b, *known):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return what `votes_of` does of the cross-spectra of spectra a and b, both (n, y, x)."""
    return votes_of(crossed(a, b), *known)
