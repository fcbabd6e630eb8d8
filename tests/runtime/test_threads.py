"""Pools whose threads are all there from the beginning."""

import threading

import pytest

from runtime.threads import pool


def test_all_its_threads_run_before_anything_is_asked_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = pool("whole", 3)
    there = [one for one in threading.enumerate() if one.name.startswith("whole-")]
    assert len(there) == 3
    monkeypatch.setattr(threading.Thread, "start", lambda _: pytest.fail("started another"))
    assert list(made.map(abs, range(-20, 0))) == list(range(20, 0, -1))


def test_a_name_and_size_have_one_pool() -> None:
    assert pool("same", 2) is pool("same", 2)
    assert pool("same", 2) is not pool("same", 1)
