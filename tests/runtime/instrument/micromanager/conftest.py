"""A small microscope of Micro-Manager's demo devices, loaded for real."""

from pathlib import Path

import pytest

from runtime.clock import SystemClock
from runtime.instrument.micromanager.core import open_core

BENCH = Path(__file__).parent / "bench.cfg"


@pytest.fixture
def config() -> Path:
    return BENCH


@pytest.fixture
def core():
    pytest.importorskip("mm_test_adapters", reason="needs the dev extra on x86-64")
    core = open_core(BENCH, clock=SystemClock())
    yield core
    core.close()


class Faulty:
    """The real core, with some of its calls replaced."""

    def __init__(self, mm, **calls):
        self._mm, self._calls = mm, calls

    def __getattr__(self, name):
        return self._calls.get(name) or getattr(self._mm, name)


@pytest.fixture
def broken(core):
    """Return a function that replaces calls of the loaded core."""

    def replace(**calls):
        core.mm = Faulty(core.mm, **calls)
        return core

    return replace
