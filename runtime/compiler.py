"""The compiler behind the kernels, let go of once they are loaded.

Numba brings LLVM, and loading a kernel from its cache runs through a part of that: 65 MB of code,
which stays resident though nothing calls it any more.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from functools import cache
from pathlib import Path

LIBRARY = "libllvmlite"
CODE = "r-xp"
"""Nobody writes into such pages, so they hold what their file holds. What the loader has filled in
lies in others, and would be lost."""


def let_go_of_compiler() -> bool:
    """Give the pages of the compiler's code back to the system; return whether there were any.

    What of it is called again comes back by itself, a page at a time; so this is called when most
    kernels are loaded, and before memory is needed for something else.
    """
    if sys.platform != "linux":
        return False
    spans = _spans() if "llvmlite" in sys.modules else ()
    for start, end in spans:
        ctypes.CDLL(None).madvise(
            ctypes.c_void_p(start), ctypes.c_size_t(end - start), mmap.MADV_DONTNEED
        )
    return bool(spans)


@cache
def _spans() -> tuple[tuple[int, int], ...]:
    """Return from where to where the code lies: once loaded, it stays there."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    mapped = (line.split() for line in lines if LIBRARY in line)
    spans = [span for span, access, *_, file in mapped if access == CODE and LIBRARY in file]
    return tuple((int(start, 16), int(end, 16)) for start, end in (s.split("-") for s in spans))
