"""The technician's side of the page in a browser: open, look, move, focus, close."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.report.pictures import jpeg
from tests.runtime.appliance.by_hand.made_up_instrument import ABOUT
from tests.runtime.appliance.page.watched_page import SIZES, looking, needs_chromium, started
from tests.runtime.appliance.service.service_bench import PLAN, Served, served

pytestmark = [pytest.mark.slow, needs_chromium]
OPENED = ABOUT | {"exposure_ms": [1, 1000], "jog_z_um": 50, "simulated": True}
FOUND = {
    "status": "ok", "z_um": 2.5, "sigma_z_um": 0.2, "by": "sweep", "exposures": 3, "reason": "",
    "curve": [[-2.0, 0.1], [6.0, 0.2], [2.0, 0.9]], "stage_um": [100.0, 0.0, 2.5],
}  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with started() as browser:
        yield browser


class Stage:
    """An instrument that goes where it is sent, and shows noise."""

    def __init__(self, service: Served) -> None:
        self.at_um, self.made_up = [0.0, 0.0, 0.0], service.bench.instrument
        self.made_up.picture = jpeg(
            np.random.default_rng(0).integers(0, 255, (64, 80)).astype(np.uint8), width_px=80
        )
        self.made_up.obey = self.obey

    def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        if order["do"] == "look":
            seen = {"sharpness": 0.0125, "level": 0.5, "saturated": 0.25}
            return {"done": seen | {"stage_um": self.at_um}}
        if order["do"] == "focus":
            self.at_um = FOUND["stage_um"]
            return {"done": FOUND}
        steps = (order["with"][f"d{axis}_um"] for axis in "xyz")
        self.at_um = [at + step for at, step in zip(self.at_um, steps, strict=True)]
        return {"done": {"stage_um": self.at_um}}


@pytest.mark.parametrize("size", SIZES)
def test_a_technician_looks_moves_and_focuses(browser: Any, tmp_path: Path, size: str) -> None:
    with served(tmp_path) as service, looking(browser, service, size) as watched:
        page, stage = watched.page, Stage(service)
        stage.made_up.answers = [{"done": OPENED}]
        watched.sign_in(service.tokens["operate"])
        watched.room("instrument")
        page.get_by_role("button", name="Open the instrument").click()
        page.locator(".hand canvas:not([hidden])").wait_for()
        page.locator(".sharp").filter(has_text="1.250e-2").wait_for()
        page.get_by_text("25.0 % saturated").wait_for()
        page.get_by_label("Move +x").click()
        page.locator(".hand .where").filter(has_text="x 100.0").wait_for()
        page.get_by_label("Step of z").select_option("20")
        page.get_by_label("Move +z").press("PageDown")
        page.locator(".hand .where").filter(has_text="z -20.00").wait_for()
        page.get_by_role("button", name="Find focus").click()
        page.get_by_text("In focus at z 2.50 ± 0.20 µm, by sweep, 3 exposures").wait_for()
        page.locator(".hand .where").filter(has_text="z 2.50").wait_for()
        page.get_by_role("button", name="Close the instrument").click()
        page.get_by_role("button", name="Open the instrument").wait_for(state="attached")
        assert not stage.made_up.running


def test_who_leaves_closes_and_who_comes_second_hears_of_it(browser: Any, tmp_path: Path) -> None:
    with served(tmp_path) as service, looking(browser, service) as watched:
        page, stage = watched.page, Stage(service)
        stage.made_up.answers = [{"done": OPENED}]
        watched.sign_in(service.tokens["operate"])
        watched.room("instrument")
        page.get_by_role("button", name="Open the instrument").click()
        page.locator(".hand canvas:not([hidden])").wait_for()
        with looking(browser, service) as other:
            other.sign_in(service.tokens["administer"])
            other.room("instrument")
            other.page.get_by_text("operateer has the instrument open by hand").wait_for()
            assert other.page.get_by_role("button", name="Open the instrument").is_hidden()
        watched.room("queue")
        page.get_by_role("heading", name="Queue").wait_for()
        while stage.made_up.running:
            page.wait_for_timeout(20)
        service("POST", "/api/v1/queue", {"plan": PLAN})
        service.bench.steps()
        assert service.bench.item().state == "running"
