"""Block Cholesky of a sparse matrix of 3 x 3 blocks, compiled by Numba and free of the GIL.

The matrix is A = L D L^T with unit block-lower L and block-diagonal D. Columns are stored one after
the other: column j has its rows in rows[starts[j]:starts[j + 1]], rising. BLAS is not used: its
threads cost more than these small blocks, and take the cores from the scan. Nothing is assigned by
slices: each takes a second to compile.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def fill_pattern(ends, rank, count):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return (starts, rows) of L for couplings `ends` (m, 2), by the order of elimination `rank`.

    Ends of rank -1 take no part. There may be more rows than are used.
    """
    begin, touched = _lists(ends, rank, count)
    starts = np.zeros(count + 1, np.int64)
    rows = np.empty(max(16, 8 * count), np.int64)
    mark = np.empty(count, np.int64)
    first_child = np.empty(count, np.int64)
    sibling = np.empty(count, np.int64)
    for j in range(count):
        mark[j] = first_child[j] = sibling[j] = -1
    size = 0
    for j in range(count):
        mark[j] = j
        top = size
        for p in range(begin[j], begin[j + 1]):
            if mark[touched[p]] != j:
                mark[touched[p]] = j
                rows = with_room(rows, size)
                rows[size] = touched[p]
                size += 1
        child = first_child[j]
        while child >= 0:
            for p in range(starts[child], starts[child + 1]):
                if mark[rows[p]] != j:
                    mark[rows[p]] = j
                    rows = with_room(rows, size)
                    rows[size] = rows[p]
                    size += 1
            child = sibling[child]
        _sort(rows, top, size)
        starts[j + 1] = size
        if size > top:
            sibling[j] = first_child[rows[top]]
            first_child[rows[top]] = j
    return starts, rows


@njit(cache=True, nogil=True)
def _lists(ends, rank, count):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return (begin, touched): what each column is coupled to among the later ones."""
    begin = np.zeros(count + 1, np.int64)
    for m in range(ends.shape[0]):
        a, b = rank[ends[m, 0]], rank[ends[m, 1]]
        if a >= 0 and b >= 0:
            begin[min(a, b) + 1] += 1
    for j in range(count):
        begin[j + 1] += begin[j]
    at = np.empty(count, np.int64)
    for j in range(count):
        at[j] = begin[j]
    touched = np.empty(begin[count], np.int64)
    for m in range(ends.shape[0]):
        a, b = rank[ends[m, 0]], rank[ends[m, 1]]
        if a >= 0 and b >= 0:
            touched[at[min(a, b)]] = max(a, b)
            at[min(a, b)] += 1
    return begin, touched


@njit(cache=True, nogil=True)
def with_room(rows, size):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the array, or a copy twice as long where `size` entries fill it."""
    if size < rows.size:
        return rows
    longer = np.empty(2 * rows.size, np.int64)
    for p in range(size):
        longer[p] = rows[p]
    return longer


@njit(cache=True, nogil=True)
def _sort(rows, top, end):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Sort in place by halving gaps (Shell): the library's own sort takes seconds to compile."""
    gap = (end - top) // 2
    while gap > 0:
        for p in range(top + gap, end):
            value, at = rows[p], p
            while at - gap >= top and rows[at - gap] > value:
                rows[at] = rows[at - gap]
                at -= gap
            rows[at] = value
        gap //= 2


@njit(cache=True, nogil=True)
def slots(ends, rank, starts, rows):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return where in L each coupling's block lies (m,), -1 for one that takes no part."""
    found = np.empty(ends.shape[0], np.int64)
    for m in range(ends.shape[0]):
        found[m] = -1
        a, b = rank[ends[m, 0]], rank[ends[m, 1]]
        if a >= 0 and b >= 0:
            low, high = min(a, b), max(a, b)
            at = starts[low]
            while rows[at] < high:
                at += 1
            found[m] = at
    return found


@njit(cache=True, nogil=True)
def factor(starts, rows, diagonal, lower):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Turn A's blocks, in place, into D^-1 (`diagonal`) and L (`lower`)."""
    count = diagonal.shape[0]
    longest = 1
    for j in range(count):
        longest = max(longest, starts[j + 1] - starts[j])
    scaled = np.empty((longest, 3, 3))
    for j in range(count):
        invert(diagonal[j])
        top, end = starts[j], starts[j + 1]
        for p in range(top, end):
            _times(lower[p], diagonal[j], scaled[p - top])
        for q in range(top, end):
            k = rows[q]
            _take_outer(diagonal[k], scaled[q - top], lower[q])
            _take_column(rows, lower, scaled, q, top, end, starts[k])
        for p in range(top, end):
            for x in range(3):
                for y in range(3):
                    lower[p, x, y] = scaled[p - top, x, y]


@njit(cache=True, nogil=True)
def substitute(starts, rows, diagonal, lower, right):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Solve A x = right (n, 3, r) in place, by what `factor` left."""
    count = right.shape[0]
    for j in range(count):
        for p in range(starts[j], starts[j + 1]):
            _take(right[rows[p]], lower[p], right[j])
    kept = np.empty((3, right.shape[2]))
    for j in range(count - 1, -1, -1):
        for x in range(3):
            for c in range(right.shape[2]):
                kept[x, c] = right[j, x, c]
                right[j, x, c] = 0.0
        _add_product(right[j], diagonal[j], kept)
        for p in range(starts[j], starts[j + 1]):
            _take_turned(right[j], lower[p], right[rows[p]])


@njit(cache=True, nogil=True)
def selected_inverse(starts, rows, diagonal, lower):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the blocks of A^-1 on the diagonal (n, 3, 3) and where L has blocks (.., 3, 3).

    Takahashi, Fagan and Chen, PICA Conf. Proc. (1973) 63.
    """
    inverse, beside = np.zeros_like(diagonal), np.zeros_like(lower)
    for j in range(diagonal.shape[0] - 1, -1, -1):
        top, end = starts[j], starts[j + 1]
        for q in range(top, end):
            k = rows[q]
            _take(beside[q], inverse[k], lower[q])
            _take_beside(rows, lower, beside, q, end, starts[k])
        for x in range(3):
            for y in range(3):
                inverse[j, x, y] = diagonal[j, x, y]
        for q in range(top, end):
            _take_turned(inverse[j], lower[q], beside[q])
    return inverse, beside


@njit(cache=True, nogil=True, error_model="numpy")
def _take_beside(rows, lower, beside, q, end, at):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Take what the inverse has in the column from `at` on, times L, off those of p and q."""
    b00, b01, b02 = lower[q, 0, 0], lower[q, 0, 1], lower[q, 0, 2]
    b10, b11, b12 = lower[q, 1, 0], lower[q, 1, 1], lower[q, 1, 2]
    b20, b21, b22 = lower[q, 2, 0], lower[q, 2, 1], lower[q, 2, 2]
    for y in range(3):
        s0, s1, s2 = beside[q, 0, y], beside[q, 1, y], beside[q, 2, y]
        column = at
        for p in range(q + 1, end):
            row = rows[p]
            while rows[column] < row:
                column += 1
            for x in range(3):
                value = lower[p, x, y]
                s0 -= beside[column, x, 0] * value
                s1 -= beside[column, x, 1] * value
                s2 -= beside[column, x, 2] * value
        beside[q, 0, y], beside[q, 1, y], beside[q, 2, y] = s0, s1, s2
    for p in range(q + 1, end):
        row = rows[p]
        while rows[at] < row:
            at += 1
        for x in range(3):
            u, v, w = beside[at, x, 0], beside[at, x, 1], beside[at, x, 2]
            beside[p, x, 0] -= u * b00 + v * b10 + w * b20
            beside[p, x, 1] -= u * b01 + v * b11 + w * b21
            beside[p, x, 2] -= u * b02 + v * b12 + w * b22


@njit(cache=True, nogil=True)
def invert(a):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Invert a symmetric 3 x 3 block in place, by its adjugate after scaling to unit diagonal."""
    s0, s1, s2 = 1 / math.sqrt(a[0, 0]), 1 / math.sqrt(a[1, 1]), 1 / math.sqrt(a[2, 2])
    p, q, r = a[1, 0] * s0 * s1, a[2, 0] * s0 * s2, a[2, 1] * s1 * s2
    whole = 1.0 - r * r - p * (p - q * r) + q * (p * r - q)
    a[0, 0] = s0 * s0 * (1.0 - r * r) / whole
    a[1, 1] = s1 * s1 * (1.0 - q * q) / whole
    a[2, 2] = s2 * s2 * (1.0 - p * p) / whole
    a[1, 0] = a[0, 1] = s0 * s1 * (q * r - p) / whole
    a[2, 0] = a[0, 2] = s0 * s2 * (p * r - q) / whole
    a[2, 1] = a[1, 2] = s1 * s2 * (p * q - r) / whole


@njit(cache=True, nogil=True)
def _times(a, b, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    for x in range(3):
        for y in range(3):
            out[x, y] = a[x, 0] * b[0, y] + a[x, 1] * b[1, y] + a[x, 2] * b[2, y]


@njit(cache=True, nogil=True, error_model="numpy")
def _take_column(rows, lower, scaled, q, top, end, at):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Take scaled_p lower_q^T off the block beside each p below q, in the column from `at` on.

    The block of q is held in registers: this loop is nine tenths of the factorisation.
    """
    b00, b01, b02 = lower[q, 0, 0], lower[q, 0, 1], lower[q, 0, 2]
    b10, b11, b12 = lower[q, 1, 0], lower[q, 1, 1], lower[q, 1, 2]
    b20, b21, b22 = lower[q, 2, 0], lower[q, 2, 1], lower[q, 2, 2]
    for p in range(q + 1, end):
        row = rows[p]
        while rows[at] < row:
            at += 1
        for x in range(3):
            u, v, w = scaled[p - top, x, 0], scaled[p - top, x, 1], scaled[p - top, x, 2]
            lower[at, x, 0] -= u * b00 + v * b01 + w * b02
            lower[at, x, 1] -= u * b10 + v * b11 + w * b12
            lower[at, x, 2] -= u * b20 + v * b21 + w * b22


@njit(cache=True, nogil=True)
def _add_product(out, a, b):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add a b to `out`; b and `out` may have any number of columns."""
    for x in range(3):
        for y in range(out.shape[1]):
            out[x, y] += a[x, 0] * b[0, y] + a[x, 1] * b[1, y] + a[x, 2] * b[2, y]


@njit(cache=True, nogil=True)
def _take(out, a, b):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Take a b off `out`; b and `out` may have any number of columns."""
    for x in range(3):
        for y in range(out.shape[1]):
            out[x, y] -= a[x, 0] * b[0, y] + a[x, 1] * b[1, y] + a[x, 2] * b[2, y]


@njit(cache=True, nogil=True)
def _take_outer(out, a, b):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Take a b^T off `out`."""
    for x in range(3):
        for y in range(3):
            out[x, y] -= a[x, 0] * b[y, 0] + a[x, 1] * b[y, 1] + a[x, 2] * b[y, 2]


@njit(cache=True, nogil=True)
def _take_turned(out, a, b):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Take a^T b off `out`; b and `out` may have any number of columns."""
    for x in range(3):
        for y in range(out.shape[1]):
            out[x, y] -= a[0, x] * b[0, y] + a[1, x] * b[1, y] + a[2, x] * b[2, y]
