"""Files of any content: written, and refused in one short line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.errors import NightscopeError


def refused(
    path: Path,
    content: str | bytes,
    read: Callable[[], object],
    *,
    refuse: type[NightscopeError],
    says: str,
) -> str:
    """Write a file, and return how reading it is refused: printable, under 500 letters."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(refuse, match=says) as refusal:
        read()
    message = str(refusal.value)
    assert len(message) < 500
    assert message.isprintable()
    return message
