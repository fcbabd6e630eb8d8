"""Two boards of one name are not one processor, and one without a name has its parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.inference import processor

A72 = """processor\t: 0
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3
"""
XEON = "model name\t: Xeon\nflags\t\t: fpu avx2\n\nmodel name\t: Xeon\nflags\t\t: fpu avx2\n"


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that says the processor's name and identity where the system tells this."""
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr("platform.machine", lambda: "m")

    def says(text: str) -> tuple[str, str]:
        (tmp_path / "cpuinfo").write_text(text)
        return processor.processor(), processor.identity()

    return says


def test_arm_is_told_by_its_parts(told) -> None:
    name, identity = told(A72)
    assert name == "m implementer 0x41, architecture 8, variant 0x0, part 0xd08"
    assert told(A72.replace("0xd08", "0xd0b"))[1] != identity
    assert told(A72.replace("asimd", "asimd sve"))[1] != identity
    assert told(A72.replace("108.00", "50.00"))[1] == identity
    little = A72.replace("0xd08", "0xd03")
    assert told(A72 + little)[0].endswith("part 0xd08 and 0xd03")


def test_a_name_alone_is_not_an_identity(told) -> None:
    name, identity = told(XEON)
    assert name == "Xeon"
    assert told(XEON.replace("avx2", "avx2 avx512_vnni")) != (name, identity)
    assert told(XEON.replace("fpu avx2", "avx2 fpu")) == (name, identity)


def test_a_system_that_tells_nothing_has_a_name_still(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "absent")
    assert processor.processor()
    assert processor.identity()
