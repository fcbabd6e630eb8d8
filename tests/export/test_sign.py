"""Signing keys."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from export.bundle.sign import sign
from runtime.appliance.models.keys import new_key
from runtime.config.settings import ModelsSection
from runtime.errors import ConfigRefused


def test_a_key_is_private_and_never_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "k.pem"
    new_key(key, passphrase="", models=ModelsSection())
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    with pytest.raises(ConfigRefused, match="exists"):
        new_key(key, passphrase="", models=ModelsSection())
    assert len(sign(b"x", key)) == 64
    other = tmp_path / "other.pem"
    new_key(other, passphrase="correct horse", models=ModelsSection())
    monkeypatch.setenv("NIGHTSCOPE_PASSPHRASE", "correct horse")
    assert len(sign(b"x", other)) == 64
    key.write_text("nonsense")
    with pytest.raises(ConfigRefused, match="cannot be read"):
        sign(b"x", key)
