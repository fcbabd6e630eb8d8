"""A back end that never answers ends in one line, not in a process that hangs."""

from __future__ import annotations

import pytest

pytest.importorskip("openvino")

from runtime.errors import HardwareFailed, InferenceStalled
from runtime.inference.openvino_session import finish
from runtime.inference.session import LIMIT_S


class StubRequest:
    """A request that finishes after so many milliseconds, or never."""

    def __init__(self, done_after_ms: float) -> None:
        self.done_after_ms = done_after_ms
        self.cancelled = False
        self.waited: list[int] = []

    def wait_for(self, timeout: int, /) -> bool:
        self.waited.append(timeout)
        return self.done_after_ms <= timeout

    def cancel(self) -> None:
        self.cancelled = True


def test_a_request_that_finishes_is_waited_for_and_left_alone() -> None:
    request = StubRequest(done_after_ms=900)
    finish(request, limit_s=1)
    assert request.waited == [1000]
    assert not request.cancelled


def test_a_request_that_never_finishes_is_given_up_with_the_reason() -> None:
    request = StubRequest(done_after_ms=float("inf"))
    reason = r"openvino .*; limit 2\.5 s\..*models\.backend"
    with pytest.raises(InferenceStalled, match=reason) as caught:
        finish(request, limit_s=2.5)
    assert request.cancelled
    assert isinstance(caught.value, HardwareFailed)
    assert "\n" not in str(caught.value)


def test_the_limit_is_far_beyond_any_tile() -> None:
    request = StubRequest(done_after_ms=30_000)
    finish(request)
    assert request.waited == [round(LIMIT_S * 1e3)]
