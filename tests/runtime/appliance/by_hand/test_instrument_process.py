"""The instrument by hand in a real process, with a board on a pty: whatever ends it, it is dark."""

import os
import signal
import threading
import time

import pytest

from firmware_bridge.board.bench_plant import BenchPlant
from firmware_bridge.drivers.native.emulator import BoardEmulator
from runtime.appliance.service.api import instrument_endpoints
from runtime.appliance.service.api.instrument_endpoints import INSTRUMENT
from runtime.appliance.service.by_hand.instrument_process import InstrumentProcess
from runtime.appliance.service.by_hand.lease import LEASE_S
from runtime.clock import SystemClock
from tests.runtime.appliance.service import service_bench
from tests.runtime.appliance.service.service_bench import PLAN, served
from tests.simulated import looped

pytestmark = pytest.mark.slow
SPECIMEN_UM, SIZE_PX = (500, 0, 20), (256, 320)


@pytest.fixture
def plant():
    return BenchPlant()


@pytest.fixture
def service(tmp_path, plant, monkeypatch):
    """Serve an instrument whose native board is on a pty, and goes dark 500 ms after its host."""
    with BoardEmulator(plant, clock=SystemClock()) as emulator:
        settings = looped(emulator.port, specimen_um=SPECIMEN_UM, size_px=SIZE_PX)
        settings = settings.replace("watchdog_ms = 5000", "watchdog_ms = 500")
        settings = settings.replace("speed = 1000", "speed = 1")  # an exposure takes its time
        bench_of = service_bench.ServiceBench
        monkeypatch.setattr(
            service_bench, "ServiceBench", lambda folder: bench_of(folder, settings=settings)
        )
        with served(tmp_path) as service:
            process = InstrumentProcess(tmp_path / "by_hand.lock")
            service.bench.service.lease.process = process
            service.process = process
            yield service
            process.kill()
            assert process.wait(within_s=60)
            process.forget()


def opened(service):
    answer = service("POST", f"{INSTRUMENT}/open", {})
    assert answer.status == 200, answer.content
    return answer.json["lease"]


def until(true):
    while not true():
        time.sleep(0.005)


def lit(service, plant, key):
    """Begin a long exposure; return, once the lamp burns, what waits for the answer."""
    answers = []
    path = f"{INSTRUMENT}/frame?lease={key}&exposure_ms=9000"
    thread = threading.Thread(target=lambda: answers.append(service("GET", path)))
    thread.start()
    until(lambda: plant.light is not None)

    def answer():
        thread.join()
        return answers[0]

    return answer


def test_the_stage_goes_where_it_is_sent_and_the_lamp_burns_for_a_frame_alone(service, plant):
    key = opened(service)
    z_um = service("GET", INSTRUMENT).json["about"]["stage_um"][2]
    assert service("POST", f"{INSTRUMENT}/jog", {"lease": key, "dz_um": 20.0}).status == 200
    assert plant.steps == (5000, 0, round((z_um + 20) / 0.05))
    moves = plant.moves
    refused = service("POST", f"{INSTRUMENT}/jog", {"lease": key, "dx_um": 99_999.0})
    assert refused.status == 422
    assert refused.json["error"]["limit"] == "-19988 to 20000 µm (run-up left out)"
    assert plant.moves == moves
    frame = service("GET", f"{INSTRUMENT}/frame?lease={key}")
    assert (frame.status, frame.content[:2]) == (200, b"\xff\xd8")
    assert plant.light is None
    found = service("POST", f"{INSTRUMENT}/focus", {"lease": key, "range_um": 40.0})
    assert found.json["status"] == "ok", found.content
    assert plant.steps[2] == pytest.approx(found.json["z_um"] / 0.05, abs=1)
    assert plant.light is None
    assert service("POST", f"{INSTRUMENT}/close", {"lease": key}).status == 200
    assert not service.process.alive()


def test_a_browser_that_goes_away_leaves_no_light_and_the_night_its_turn(service, plant):
    key = opened(service)
    service("GET", f"{INSTRUMENT}/frame?lease={key}")
    service("POST", "/api/v1/queue", {"plan": PLAN})
    service.bench.steps()
    assert service.bench.item().state == "waiting"
    service.bench.clock.sleep(duration_s=LEASE_S + 1)
    service.bench.steps(1)
    until(lambda: not service.process.alive())
    service.bench.steps(1)
    assert plant.light is None
    assert not plant.powered
    assert service.bench.item().state == "running"


def test_a_process_that_is_killed_while_it_lights_leaves_no_light(service, plant):
    key = opened(service)
    answer = lit(service, plant, key)
    service.process.kill()
    refused = answer()
    assert refused.status == 409
    assert "ended without an answer" in refused.json["error"]["what"]
    until(lambda: plant.light is None)  # the board itself misses its host
    opened(service)


def test_a_driver_that_hangs_takes_neither_the_service_nor_the_light_along(
    service, plant, monkeypatch
):
    key = opened(service)
    monkeypatch.setattr(instrument_endpoints, "JOG_S", 0.2)
    os.kill(service.process._started.pid, signal.SIGSTOP)
    refused = service("POST", f"{INSTRUMENT}/jog", {"lease": key, "dx_um": 1.0})
    assert refused.status == 409
    assert "does not answer" in refused.json["error"]["what"]
    assert not service.process.alive()
    assert service("GET", "/health", role=None).status == 200
    until(lambda: plant.light is None)
    opened(service)


def test_an_objective_that_is_not_there_is_refused_before_anything_is_opened(service, plant):
    refused = service("POST", f"{INSTRUMENT}/open", {"objective": "40x"})
    assert (refused.status, refused.json["error"]["limit"]) == (409, "10x")
    assert plant.moves == 0
    assert service("GET", INSTRUMENT).json["by_hand"] is None


def test_a_service_that_dies_leaves_a_process_that_goes_dark_and_ends(service, plant):
    key = opened(service)
    service("GET", f"{INSTRUMENT}/frame?lease={key}")
    service.process._line.close()  # as the system does with what a dead process had open
    until(lambda: not service.process.alive())
    assert plant.light is None
    assert not plant.powered


def test_a_focus_ends_when_the_instrument_is_closed_in_its_middle(service, plant):
    key = opened(service)
    answers = []
    ask = {"lease": key, "range_um": 400.0, "exposure_ms": 300.0}
    thread = threading.Thread(
        target=lambda: answers.append(service("POST", f"{INSTRUMENT}/focus", ask))
    )
    thread.start()
    until(lambda: plant.light is not None)
    assert service("POST", f"{INSTRUMENT}/close", {"lease": key}).status == 200
    thread.join()
    assert answers[0].status == 409
    assert answers[0].json["error"]["what"] == "the instrument was closed meanwhile"
    assert plant.light is None
