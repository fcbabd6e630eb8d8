"""Models tried out by a process of its own: too slow, too large, wrong, hanging, crashing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from runtime.appliance.models import examination
from runtime.appliance.models.examination import examine
from runtime.errors import ModelRefused
from runtime.inference.bundle import open_bundle
from runtime.inference.selection import chosen
from runtime.inference.session import BACKENDS
from runtime.inference.shelf import shelf_of
from runtime.tasks.registry import RECORDS
from tests.runtime.appliance.models.devices import NAME, Device

if TYPE_CHECKING:
    Forge = Any
Maker = Callable[..., bytes]


def tried(device: Device, content: bytes) -> Any:
    return device.install(content, examine=examine)


@pytest.mark.slow
def test_what_runs_here_is_chosen_timed_and_remembered(device: Device, maker: Maker) -> None:
    done = tried(device, maker("1.0.0"))
    assert done.p99_ms > 0
    models, bundle = device.models, device.active()
    (note,) = models.cache.glob("choice-*.json")
    before = note.read_bytes()
    choice = chosen(bundle, allowed=BACKENDS, threads=models.threads, cache=models.cache)
    assert str(choice) == done.runs_as
    assert note.read_bytes() == before


@pytest.mark.slow
def test_what_is_wrong_slow_or_large_here_is_refused_and_the_old_one_active(
    device: Device, maker: Maker, forge: Forge
) -> None:
    device.settled(maker("1.0.0"))
    with pytest.raises(
        ModelRefused, match=r"too slow on this device; value p99 .* ms with .*; limit 1e-06 ms"
    ):
        tried(device, maker("1.1.0", budgets_ms={"match": 1e-6}))
    device.options = {"selftest_mb": 64}
    with pytest.raises(ModelRefused, match=r"memory") as large:
        tried(device, maker("1.1.0"))
    assert "64 MB" in str(large.value)
    device.options = {}
    golden = open_bundle(shelf_of(device.models).find(NAME), keys=device.keys, tasks=RECORDS).array(
        "confidence.npy"
    )
    forge.replace_array("confidence.npy", golden + np.float32(0.5))
    with pytest.raises(ModelRefused, match="'confidence' comes out differently"):
        tried(device, maker("1.1.0"))
    assert device.version() == "1.0.0"


def child(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Have something else than the examiner run in the child process."""
    begun = subprocess.run

    def run(command: list[str], **options: Any) -> Any:
        return begun([sys.executable, "-S", "-c", code], **options)

    monkeypatch.setattr(examination.subprocess, "run", run)


@pytest.mark.parametrize(
    ("code", "match"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV"),
        ("import sys; sys.exit('std::bad_alloc')", r"exit status 1: std::bad_alloc; limit 3000 MB"),
        ("print('no JSON')", "self-test died"),
        ("print('[]')", "self-test died"),
        ("print('{}')", "self-test died"),
        ("import sys; sys.stdin.read(); input()", "self-test died"),
    ],
)
def test_a_child_that_dies_is_a_model_that_is_refused(
    device: Device, maker: Maker, monkeypatch: pytest.MonkeyPatch, code: str, match: str
) -> None:
    device.settled(maker("1.0.0"))
    child(monkeypatch, code)
    with pytest.raises(ModelRefused, match=match) as refusal:
        tried(device, maker("1.1.0"))
    assert "died on this device" in str(refusal.value)
    assert device.version() == "1.0.0"


def test_a_child_that_hangs_is_ended(
    device: Device, maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    device.options = {"selftest_s": 0.2}
    child(monkeypatch, "import signal; signal.pause()")
    with pytest.raises(ModelRefused, match=r"did not end on this device; .* limit 0\.2 s"):
        tried(device, maker("1.0.0"))
    with pytest.raises(ModelRefused, match="no model bundle"):
        device.version()
