"""Standard input that is given up when nothing comes: its sender may be gone without a word."""

from __future__ import annotations

import os
from io import RawIOBase
from select import select

STALL_S = 60.0
"""A line that is alive carries something in that time; a dead one would hold the store on."""


class PatientInput(RawIOBase):
    """The bytes of an open descriptor; raises ConnectionError after `stall_s` of silence."""

    def __init__(self, descriptor: int, *, stall_s: float = STALL_S) -> None:
        super().__init__()
        self._descriptor, self._stall_s = descriptor, stall_s

    def readable(self) -> bool:
        """Return that it is for reading."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Return what has come, at most `size` bytes, nothing at the end."""
        ready, _, _ = select([self._descriptor], [], [], self._stall_s)
        if not ready:
            raise ConnectionError(f"nothing came for {self._stall_s:g} s")
        return os.read(self._descriptor, size)
