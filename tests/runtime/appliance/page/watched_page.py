"""A page in a real browser, and what must never be in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
import pytest

from tests.runtime.appliance.service.service_bench import Served

playwright = pytest.importorskip("playwright.sync_api", reason="pip install 'nightscope[browser]'")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
SIZES = {"desk": (1400, 900), "phone": (390, 800)}
PATIENCE_MS = 60_000


@contextmanager
def started() -> Iterator[Any]:
    """Start a browser."""
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Watched:
    """A page, and everything in it that should not be."""

    def __init__(self, page: Any, url: str) -> None:
        self.page, self.url = page, url
        self.errors: list[str] = []
        self.hosts: set[str] = set()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._heard)
        page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))

    def _heard(self, message: Any) -> None:
        # A refusal is an answer, and the browser has no other way to tell of one.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.errors.append(message.text)

    def sign_in(self, token: str) -> None:
        self.page.goto(self.url)
        self.page.get_by_label("Token").fill(token)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.locator("#rooms a").first.wait_for()

    def room(self, name: str) -> None:
        self.page.locator(f"#rooms a[href='#{name}']").click()

    def bar_says(self, words: str) -> None:
        self.page.locator("#bar").filter(has_text=words).wait_for()

    def click_the_map(self, x_share: float, y_share: float) -> None:
        frame = self.page.locator(".map .frame")
        frame.scroll_into_view_if_needed()
        box = frame.bounding_box()
        at = {"x": box["width"] * x_share, "y": box["height"] * y_share}
        frame.click(position=at)

    def drawn_share(self, *, at_least: float) -> float:
        """Return which part of the map is not black, once that is as much as it should be."""
        for _ in range(80):
            frame = self.page.locator(".map .canvas").screenshot()
            shown = cv2.imdecode(np.frombuffer(frame, np.uint8), cv2.IMREAD_GRAYSCALE)
            share = float(np.count_nonzero(shown > 40) / shown.size)
            if share >= at_least:
                self.page.wait_for_timeout(500)  # all that is to come has come
                return share
            self.page.wait_for_timeout(500)
        raise AssertionError(f"{share:.2f} of the map is drawn, not {at_least:.2f}")

    def overflow_px(self) -> int:
        return self.page.evaluate("document.documentElement.scrollWidth - innerWidth")


@contextmanager
def looking(browser: Any, service: Served, size: str = "desk", **how: Any) -> Iterator[Watched]:
    """Open a page that nobody signed in to; at the end nothing in it may have gone wrong."""
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height}, **how)
    watched = Watched(context.new_page(), f"http://127.0.0.1:{service.port}")
    try:
        yield watched
        assert watched.errors == []
        assert watched.hosts == {f"127.0.0.1:{service.port}"}
        assert watched.overflow_px() <= 0
    finally:
        context.close()
