"""The arrays that compiled kernels take, and the threads that share their rows."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.threads import pool


def frozen(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return the pixels as the kernels are compiled for: C order, native bytes, read-only.

    Borrowed, owned and strided arrays all become one type, so that warming once is enough.
    """
    view = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("=")).view()
    view.flags.writeable = False
    return view


def share_rows(work: Callable[[int, int], None], *, rows: int, threads: int) -> None:
    """Call `work(first, last)` on spans that together cover `rows`, at once on `threads` threads.

    The calling thread takes a span itself. What `work` raises is raised here. Made for kernels
    that drop the GIL; any number of threads may call this at the same time.
    """
    bounds = [rows * index // threads for index in range(threads + 1)]
    own, *others = pairwise(bounds)
    if not others:
        work(*own)
        return
    rows_pool = pool("rows", threads - 1)
    waiting = [rows_pool.submit(work, first, last) for first, last in others]
    work(*own)
    for future in waiting:
        future.result()
