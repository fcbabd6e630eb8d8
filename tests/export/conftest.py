"""Files that a test run wants nothing of are not even imported: torch takes seconds, per worker."""

import re
from pathlib import Path

import pytest

NEEDS_THE_EXTRA = re.compile(r"^pytestmark = \[?\s*pytest\.mark\.export\b", re.MULTILINE)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the files marked `export` as a whole when `-m` leaves out that mark."""
    if "not export" not in config.getoption("markexpr") or collection_path.suffix != ".py":
        return None
    return True if NEEDS_THE_EXTRA.search(collection_path.read_text(encoding="utf-8")) else None
