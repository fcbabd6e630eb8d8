"""The compiler's code, which loading kernels runs through and nothing needs afterwards."""

import re
import sys
from pathlib import Path

import pytest
from numba import njit

from runtime.compiler import LIBRARY, let_go_of_compiler


def resident_kb() -> int:
    """How much of the code of the compiler's library is in memory."""
    mapped = re.split(
        r"^(?=[0-9a-f]+-[0-9a-f]+ )", Path("/proc/self/smaps").read_text(), flags=re.M
    )
    of_code = [one for one in mapped if LIBRARY in one.split("\n")[0] and " r-xp " in one]
    return sum(int(found) for one in of_code for found in re.findall(r"^Rss: +(\d+)", one, re.M))


@pytest.mark.skipif(sys.platform != "linux", reason="no /proc to see it in")
def test_the_compilers_code_is_let_go_of_and_comes_back_when_it_is_called() -> None:
    assert njit(lambda x: x + 1)(1) == 2
    assert resident_kb() > 10_000
    assert let_go_of_compiler()
    assert resident_kb() == 0
    assert njit(lambda x: x + 2)(1) == 3
    assert resident_kb() > 0
