"""The page in a browser, against a service of which everything is real but the nights' processes.

What a night would write, the test writes: into its journal, its map and its frames.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from runtime.instant import Instant
from runtime.record.journal import Journal
from runtime.record.rows import FocusRow, StoredTile, TileState
from runtime.stitch.map.mosaic import Mosaic
from runtime.tile import FocusVerdict, Label, Placement, Seam
from tests.runtime.appliance.models.devices import looked_at
from tests.runtime.appliance.page.watched_page import SIZES, looking, needs_chromium, started
from tests.runtime.appliance.service.service_bench import EVENING_S, PLAN, Served, served
from tests.runtime.made import shot, stored

pytestmark = [pytest.mark.slow, needs_chromium]

SIDE, STEP = 160, 120


class Night:
    """What a night's process writes: tile after tile on a square of 5 x 5."""

    def __init__(self, journal: Journal, folder: Path) -> None:
        self.journal, self.folder, self.taken = journal, folder, 0
        self.frames: dict[str, np.ndarray] = {}
        self.mosaic = Mosaic(
            folder / "map.ome.zarr",
            tile_shape_px=(SIDE, SIDE),
            pixel_size_um=0.5,
            dtype=np.uint16,
            name="corner",
            simulated=True,
            bounds_px=(0.0, 0.0, 5.0 * SIDE, 5.0 * SIDE),
        )
        began = Instant(boot_id="boot", monotonic_s=0.0, wall_s=EVENING_S)
        journal.note(
            name="corner", simulated=True, state="scanning", created=asdict(began),
            session={"pid": 1} | asdict(began), tiles_planned=25,
            plan={"name": "corner", "objective": "10x"},
            settings={"instrument": {"name": "bench"}},
            ground={
                "shape_px": [SIDE, SIDE], "full_scale": 4095, "simulated": True,
                "stage_from_px": [[0.5, 0.0], [0.0, 0.5]], "stage_sigma_um": 2.0,
                "bounds_px": [0.0, 0.0, 5.0 * SIDE, 5.0 * SIDE],
            },
        )  # fmt: skip

    def take(self, count: int = 1, *, doubtful: bool = False) -> None:
        """Take tiles, each with its frame, label, focus, place and a seam with the one before."""
        for _ in range(count):
            self._take(doubtful)

    def _take(self, doubtful: bool) -> None:
        row, column = divmod(self.taken, 5)
        name = f"r{row:03d}_c{column:03d}"
        x_px, y_px = column * STEP, row * STEP
        middle_um = (x_px + (SIDE - 1) / 2) * 0.5, (y_px + (SIDE - 1) / 2) * 0.5
        tile = stored(
            shot(name, at_um=(*middle_um, 0.0), row=row, column=column),
            seq=self.taken,
            shape_px=(SIDE, SIDE),
        )
        self._expose(tile)
        state = TileState(tile_id=name, state="doubtful" if doubtful else "good")
        self.journal.add_tile(tile, self._focus(name), state)
        self.journal.set_label(
            name, Label(name="tissue", score=0.9, scores={"tissue": 0.9, "resin": 0.1})
        )
        place = Placement(tile_id=name, x_px=float(x_px), y_px=float(y_px))
        self.journal.set_placements([place])
        self._seam(name)
        self.mosaic.update({name: place}, self.frames.__getitem__)
        self.taken += 1

    def _expose(self, tile: StoredTile) -> None:
        frame = np.random.default_rng(self.taken).integers(600, 3000, (SIDE, SIDE))
        self.frames[tile.tile_id] = frame.astype(np.uint16)
        path = self.folder / tile.file.file
        path.parent.mkdir(exist_ok=True)
        tifffile.imwrite(path, self.frames[tile.tile_id])

    def _focus(self, name: str) -> FocusRow:
        curve = tuple((float(z), 100.0 - (z - 2.0) ** 2) for z in range(-8, 9, 2))
        verdict = FocusVerdict(status="ok", z_um=2.0, sigma_z_um=0.3, curve=curve, exposures=9)
        return FocusRow(tile_id=name, source="sweep", verdict=verdict)

    def _seam(self, name: str) -> None:
        if self.taken % 5 == 0:
            return
        before = f"r{self.taken // 5:03d}_c{self.taken % 5 - 1:03d}"
        self.journal.set_seams(
            [Seam(a=before, b=name, dx_px=float(STEP), dy_px=0.0, residual_px=0.1, ncc=0.9,
                  method="phase")]
        )  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with started() as browser:
        yield browser


def begin(service: Served) -> None:
    """Queue a plan, and have the service begin its night."""
    assert service("POST", "/api/v1/queue", {"plan": PLAN}).status == 201
    service.bench.steps()


@contextmanager
def night_of(service: Served) -> Iterator[Night]:
    """Give the night that the service began to the test, which writes it."""
    with service.bench.journal() as journal:
        yield Night(journal, service.bench.service.section.runs / service.bench.item().run)


def renew(service: Served) -> None:
    """Have the keeper look at the night, and tell whoever watches."""
    service.bench.steps()
    service.bench.service.broker.publish("state", service.bench.service.metrics.state())


@pytest.mark.parametrize("size", SIZES)
def test_a_plan_is_started_watched_stopped_and_resumed(
    browser: Any, tmp_path: Path, size: str
) -> None:
    with served(tmp_path) as service, looking(browser, service, size) as watched:
        page = watched.page
        watched.sign_in(service.tokens["operate"])
        watched.room("queue")
        page.get_by_label("Plan", exact=True).fill(PLAN)
        page.get_by_role("button", name="Queue it").click()
        page.get_by_text("Queued").wait_for()
        renew(service)
        with night_of(service) as night:
            night.take(6)
            renew(service)
            watched.bar_says("6 of 25 tiles")
            watched.bar_says("Scanning")
            watched.room("night")
            page.locator(".live canvas:not([hidden])").wait_for()
            page.locator("#colour").select_option(label="nothing")
            whole = watched.drawn_share(at_least=0.1)
            night.take(14, doubtful=True)
            renew(service)
            watched.bar_says("20 of 25 tiles")
            watched.drawn_share(at_least=2 * whole)
            page.locator("#colour").select_option(label="what needs a look")
            page.locator(".legend").filter(has_text="cannot be vouched for: 14").wait_for()
            watched.click_the_map(0.5, 0.4)
            page.locator("#tile h2 code").filter(
                has_text=re.compile("r00[0-3]_c00[0-4]")
            ).wait_for()
            page.locator("#tile svg.curve").wait_for()
            page.locator("#tile table").first.filter(has_text="phase").wait_for()
            page.get_by_role("button", name="Stop", exact=True).click()
            page.get_by_text("Stopping").first.wait_for()
            service.bench.steps()
            assert service.bench.night().asked == ["stop"]
        service.bench.night().end(130)
        renew(service)
        watched.bar_says("Paused")
        page.get_by_role("button", name="Resume").click()
        page.get_by_text("Going on").wait_for()
        renew(service)
        page.locator(".pill.paused").wait_for(state="detached")
        assert service.bench.night().running


def test_what_one_may_not_do_is_not_offered(browser: Any, tmp_path: Path) -> None:
    with served(tmp_path) as service, looking(browser, service) as watched:
        begin(service)
        with night_of(service) as night:
            night.take(2)
            renew(service)
            watched.sign_in(service.tokens["look"])
            watched.bar_says("2 of 25 tiles")
            commands = watched.page.locator("#bar button:visible")
            assert commands.count() == 0
            watched.room("queue")
            watched.page.get_by_role("heading", name="Queue").wait_for()
            assert watched.page.get_by_text("Add a plan").count() == 0


def test_a_wrong_token_is_refused_and_a_right_one_can_sign_out(
    browser: Any, tmp_path: Path
) -> None:
    with served(tmp_path) as service, looking(browser, service) as watched:
        watched.page.goto(watched.url)
        watched.page.get_by_label("Token").fill("nightscope_wrong")
        watched.page.get_by_role("button", name="Sign in").click()
        watched.page.get_by_text("That token is not known here").wait_for()
        watched.sign_in(service.tokens["look"])
        watched.page.get_by_text("No night has been run yet").wait_for()
        watched.page.get_by_role("button", name="Sign out").click()
        watched.page.get_by_label("Token").wait_for()


@pytest.mark.parametrize("size", SIZES)
def test_a_model_is_installed_confirmed_rolled_back_or_refused(
    browser: Any, tmp_path: Path, forge: Any, maker: Callable[..., bytes], size: str
) -> None:
    keys = tmp_path / "device/shelf/keys"
    shutil.copytree(forge.keys, keys)
    first, second = maker("1.0.0"), maker("1.1.0")
    with (
        served(tmp_path / "device", examine=looked_at) as service,
        looking(browser, service, size) as watched,
    ):
        page = watched.page

        def install(content: bytes) -> None:
            file = {"name": "new.nsb", "mimeType": "application/octet-stream", "buffer": content}
            page.get_by_label("Bundle").set_input_files(file)
            page.get_by_role("button", name="Install", exact=True).click()

        watched.sign_in(service.tokens["administer"])
        watched.room("models")
        install(first)
        page.get_by_text("strip-match 1.0.0 is active, on trial for 50 good tiles").wait_for()
        page.get_by_role("cell", name="on trial, 0 of 50 good tiles").wait_for()
        page.get_by_role("button", name="Confirm").click()
        page.get_by_role("cell", name="active; runs as onnxruntime").wait_for()
        install(second)
        page.get_by_role("button", name="Roll back").click()
        page.get_by_text("Back to 1.0.0").wait_for()
        install(second[: len(second) // 2])
        page.get_by_text("Refused: ").wait_for()
        page.get_by_role("cell", name="1.0.0").wait_for()


def test_a_lost_connection_is_told_and_found_again(browser: Any, tmp_path: Path) -> None:
    with served(tmp_path) as service, looking(browser, service) as watched:
        begin(service)
        with night_of(service) as night:
            night.take(3)
            renew(service)
            watched.sign_in(service.tokens["look"])
            watched.bar_says("3 of 25 tiles")
            watched.page.route("**/api/**", lambda route: route.abort())
            service.bench.service.broker.close()  # as if the network had gone
            watched.page.locator("#lost").filter(has_text="Connection lost").wait_for()
            night.take(2)
            service.bench.service.broker._closed = False
            watched.page.unroute("**/api/**")
            watched.page.locator("#lost").wait_for(state="hidden")
            renew(service)
            watched.bar_says("5 of 25 tiles")


def test_times_are_the_controllers_whatever_the_phone_believes(
    browser: Any, tmp_path: Path
) -> None:
    with served(tmp_path) as service, looking(browser, service, "phone") as watched:
        watched.page.clock.set_system_time("2001-01-01T03:04:05Z")
        watched.sign_in(service.tokens["look"])
        watched.room("queue")
        said = watched.page.get_by_text("The controller's clock says")
        said.wait_for()
        assert "This device's clock differs" in said.inner_text()
        assert "03:04" not in said.inner_text()


def test_ten_thousand_tiles_are_shown(browser: Any, tmp_path: Path) -> None:
    with served(tmp_path) as service, looking(browser, service) as watched:
        begin(service)
        with night_of(service) as night:
            night.take(1)
            with night.journal.transaction():
                for n in range(1, 10_000):
                    tile = stored(shot(f"t{n}", at_um=(n % 100, n // 100, 0.0)), seq=n)
                    verdict = FocusVerdict(status="ok", z_um=float(n % 7), sigma_z_um=0.3)
                    focus = FocusRow(tile_id=f"t{n}", source="surface", verdict=verdict)
                    night.journal.add_tile(tile, focus)
                night.journal.set_placements(
                    [
                        Placement(tile_id=f"t{n}", x_px=8.0 * (n % 100), y_px=8.0 * (n // 100))
                        for n in range(1, 10_000)
                    ]
                )
            renew(service)
            watched.sign_in(service.tokens["look"])
            watched.bar_says("10000 of 25 tiles")
            watched.page.get_by_label("Number of a tile").fill("9999")
            watched.page.get_by_role("button", name="Show", exact=True).click()
            watched.page.locator("#tile h2 code").filter(has_text="t9999").wait_for()
            figure = watched.page.locator("canvas.focus-map[aria-label*='10000 tiles']")
            figure.wait_for()
