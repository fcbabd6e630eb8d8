"""What a fuzzer tries: something that reads what anybody may have written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fuzzing.mutation import Forge


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """How its file is called, files to begin with, what reads one, and what forges one."""

    name: str
    file: str
    corpus: Callable[[], list[bytes]]
    read: Callable[[Path], object]
    forge: Forge | None = None
