"""Signing keys."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from export.bundle.sign import make_key, sign
from runtime.errors import ConfigRefused


def test_a_key_is_private_and_never_overwritten(tmp_path: Path) -> None:
    key = tmp_path / "k.pem"
    make_key(key)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    with pytest.raises(ConfigRefused, match="exists"):
        make_key(key)
    assert len(sign(b"x", key)) == 64
    key.write_text("nonsense")
    with pytest.raises(ConfigRefused, match="cannot be read"):
        sign(b"x", key)
