"""The loop that lays windows of one picture on another, compiled by Numba and free of the GIL."""

from __future__ import annotations

import numpy as np
from numba import njit

STEPS = 12
SETTLED_PX2 = 0.005**2

LEAST_SEEN = 0.5
"""Of a window so much must be seen."""

LEAST_CURVED = 0.5
"""A step is never longer than if so much of the curvature were the specimen's."""

LEAST_ACROSS = 1e-3
"""What curves less than this one way, as a share of the other, is an edge, which slides."""


@njit(cache=True, nogil=True, fastmath=True)
def _taps(part, taps):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Fill in what the four pixels about a place weigh, `part` beyond the second of them: the cubic
    of Keys, doi:10.1109/TASSP.1981.1163711.
    """
    taps[0] = part * (-0.5 + part * (1.0 - 0.5 * part))
    taps[1] = 1.0 + part * part * (-2.5 + 1.5 * part)
    taps[2] = part * (0.5 + part * (2.0 - 1.5 * part))
    taps[3] = part * part * (-0.5 + 0.5 * part)


@njit(cache=True, nogil=True, fastmath=True)
def _read(image, top, left, rows, window):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Fill a square window (y, x) with a picture's pixels from a corner between its pixels on,
    those beyond its rim repeated; `rows` is room for the lines between.
    """
    size = len(window)
    y, x = int(np.floor(top)), int(np.floor(left))
    down, right = np.empty(4), np.empty(4)
    _taps(top - y, down)
    _taps(left - x, right)
    height, width = image.shape
    for i in range(size):
        lines = [min(max(y + i + k - 1, 0), height - 1) for k in range(4)]
        for j in range(size + 3):
            at = min(max(x + j - 1, 0), width - 1)
            total = 0.0
            for k in range(4):
                total += down[k] * image[lines[k], at]
            rows[i, j] = total
    for i in range(size):
        for j in range(size):
            total = 0.0
            for k in range(4):
                total += right[k] * rows[i, j + k]
            window[i, j] = total


@njit(cache=True, nogil=True, fastmath=True)
def _collect(layers, seen, left, top, size, values, at):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Fill in the pixels of a window that are seen: of each layer (k, y, x) their `values` (k, n),
    less their mean, and `at` (n,) where in the window they are. Return how many.
    """
    kinds, height, width = layers.shape
    count = 0
    for i in range(max(-top, 0), min(size, height - top)):
        for j in range(max(-left, 0), min(size, width - left)):
            if seen[top + i, left + j]:
                for k in range(kinds):
                    values[k, count] = layers[k, top + i, left + j]
                at[count] = i * size + j
                count += 1
    for k in range(kinds):
        values[k, :count] -= values[k, :count].mean() if count else 0.0
    return count


@njit(cache=True, nogil=True, fastmath=True)
def _squares(x, y):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the sums of x x, x y and y y."""
    xx, xy, yy = 0.0, 0.0, 0.0
    for n in range(len(x)):
        xx += x[n] * x[n]
        xy += x[n] * y[n]
        yy += y[n] * y[n]
    return xx, xy, yy


@njit(cache=True, nogil=True, fastmath=True)
def _pull(shown, at, values, power):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return by how much a window (n,) as it is shown exceeds the one that it is laid on, once mean
    and gain are taken out: times its slopes along x, along y, and squared; zeros and infinity where
    both have nothing in common.
    """
    mean, square, shared = 0.0, 0.0, 0.0
    for n in range(len(at)):
        mean += shown[at[n]]
    mean /= len(at)
    for n in range(len(at)):
        here = shown[at[n]] - mean
        square += here * here
        shared += here * values[0, n]
    by_x, by_y, left_over = 0.0, 0.0, 0.0
    if shared <= 0.0:
        return by_x, by_y, 1e30
    gain = (power / square) ** 0.5
    for n in range(len(at)):
        more = gain * (shown[at[n]] - mean) - values[0, n]
        by_x += values[1, n] * more
        by_y += values[2, n] * more
        left_over += more * more
    return by_x, by_y, left_over


@njit(cache=True, nogil=True, fastmath=True)
def _settle(b, left, top, size, values, at, curvature, most_px, way):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Fill in the way (2,) x, y from a place of b to where a window lies; return what it leaves
    over, squared and summed, less than nothing where it settles nowhere.
    """
    xx, xy, yy = curvature
    det = xx * yy - xy * xy
    rows, window = np.empty((size, size + 3)), np.empty((size, size))
    shown = window.ravel()
    power = 0.0
    for n in range(len(at)):
        power += values[0, n] * values[0, n]
    way[:] = 0.0
    for _ in range(STEPS):
        _read(b, top + way[1], left + way[0], rows, window)
        by_x, by_y, left_over = _pull(shown, at, values, power)
        step_x, step_y = (yy * by_x - xy * by_y) / det, (xx * by_y - xy * by_x) / det
        way[0] -= step_x
        way[1] -= step_y
        if way[0] * way[0] + way[1] * way[1] > most_px * most_px or left_over > 1e29:
            return -1.0
        if step_x * step_x + step_y * step_y < SETTLED_PX2:
            return left_over
    return -1.0


@njit(cache=True, nogil=True)
def lay(layers, b, seen, places, half, grain, most_px, off, covariances):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Fill in how far from each place (n, 2) x, y of a its window lies in b, (n, 2), and the
    covariance (n, 2, 2) of that for noise that is white before smoothing and has a variance of 1
    after it; leave alone what settles nowhere within `most_px`.

    Gauss and Newton's steps, a's slopes taken for b's (Baker and Matthews,
    doi:10.1023/B:VISI.0000011205.11775.fd). `layers` (5, y, x) are a, its slopes along x and y, and
    these smoothed as a is; `b` is smoothed, too, and lies as a does; `seen` (y, x) where both show
    specimen; a window has `half` pixels either side of its middle; `grain` is what a's noise adds
    to the square of a slope.
    """
    size = 2 * half + 1
    values, at = np.empty((len(layers), size * size)), np.empty(size * size, np.int64)
    way = np.zeros(2)
    for n in range(len(places)):
        left, top = places[n, 0] - half, places[n, 1] - half
        count = _collect(layers, seen, left, top, size, values, at)
        if count < LEAST_SEEN * size * size:
            continue
        xx, xy, yy = _squares(values[1, :count], values[2, :count])
        xx = max(xx - count * grain, LEAST_CURVED * xx)
        yy = max(yy - count * grain, LEAST_CURVED * yy)
        if xx * yy - xy * xy <= LEAST_ACROSS * xx * yy:
            continue
        left_over = _settle(
            b, left, top, size, values[:, :count], at[:count], (xx, xy, yy), most_px, way
        )
        if left_over < 0.0:
            continue
        off[n] = way
        noise = np.array(_squares(values[3, :count], values[4, :count])) * left_over / count
        inverse = np.linalg.inv(np.array([[xx, xy], [xy, yy]]))
        covariances[n] = inverse @ np.array([[noise[0], noise[1]], [noise[1], noise[2]]]) @ inverse


@njit(cache=True, nogil=True)
def sharing(places, side):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return in how many windows a pixel of each lies on average, (n,), itself counted: windows of
    a side are centred on places (n, 2).
    """
    found = np.zeros(len(places))
    for n in range(len(places)):
        for m in range(len(places)):
            x = side - abs(places[n, 0] - places[m, 0])
            y = side - abs(places[n, 1] - places[m, 1])
            if x > 0 and y > 0:
                found[n] += x * y
    return found / (side * side)
