"""The instrument by hand: one person at a time, no night meanwhile, and it always ends dark."""

import os
from threading import Thread

import pytest

from runtime.appliance.service.by_hand.instrument_process import (
    InstrumentProcess,
    InstrumentSilent,
)
from runtime.appliance.service.by_hand.lease import CLOSE_S, LEASE_S, OPEN_S
from runtime.appliance.service.process_lock import ProcessLock
from runtime.appliance.service.refusal import CONFLICT, UNFIT, RequestRefused
from tests.runtime.appliance.by_hand.made_up_instrument import ABOUT, OPENED
from tests.runtime.appliance.service.service_bench import PLAN, ServiceBench

MODULE = "runtime.appliance.service.by_hand.instrument_process"
TOO_LONG = {"what": "too far", "value": "60 µm", "limit": "50 µm", "remedy": "go shorter"}
SILENT = InstrumentSilent("the instrument does not answer", value="nothing for 180 s")
UNWATCHED = {"done": ABOUT | {"unwatched": ["old-board"]}}


@pytest.fixture
def bench(tmp_path):
    bench = ServiceBench(tmp_path)
    bench.begin()
    yield bench
    bench.service.store.close()


@pytest.fixture
def lease(bench):
    return bench.service.lease


def opened(bench, by="anna"):
    return bench.service.lease.open(by=by, objective=None)["lease"]


def jog(bench, key):
    return bench.service.lease.order(key, "jog", {"dx_um": 1.0}, within_s=1.0)


def words(bench):
    return [one.words for one in bench.service.store.happenings() if one.kind == "instrument"]


def test_whoever_comes_second_hears_who_has_it(bench, lease):
    key = opened(bench)
    with pytest.raises(RequestRefused, match="anna has the instrument open by hand") as refused:
        lease.open(by="ben", objective=None)
    assert refused.value.status == CONFLICT
    assert jog(bench, key)[0] == ABOUT
    lease.close(key, by="anna")
    other = opened(bench, by="ben")
    assert other != key
    with pytest.raises(RequestRefused, match="any more: ben has it now"):
        jog(bench, key)


def test_a_night_keeps_it_to_itself_running_or_paused(bench, lease):
    bench.service.queue.add(PLAN, by="anna")
    bench.steps()
    with pytest.raises(RequestRefused, match="the night corner has the microscope; value running"):
        lease.open(by="ben", objective=None)
    bench.service.queue.ask("pause", by="anna")
    bench.steps()
    bench.night().end(130)
    bench.steps()
    assert bench.item().state == "held"
    with pytest.raises(RequestRefused, match="value held"):
        lease.open(by="ben", objective=None)
    assert bench.instrument.orders == []


def test_a_plan_waits_says_why_and_begins_when_the_lease_ends(bench):
    opened(bench)
    bench.service.queue.add(PLAN, by="ben")
    bench.steps(5)
    assert bench.item().state == "waiting"
    state = bench.service.metrics.state()
    assert state["waits_for"] == "anna has the instrument open by hand; plans wait for that"
    assert state["by_hand"]["by"] == "anna"
    assert bench.said().count("waiting") == 1
    bench.clock.sleep(duration_s=LEASE_S)
    bench.steps()
    assert bench.instrument.ends == ["let go"]
    assert bench.item().state == "running"
    assert bench.night().started[0][0] == "run"
    state = bench.service.metrics.state()
    assert (state["waits_for"], state["by_hand"]) == ("", None)


def test_every_order_renews_the_lease(bench, lease):
    key = opened(bench)
    for _ in range(3):
        bench.clock.sleep(duration_s=LEASE_S - 1)
        bench.steps(1)
        jog(bench, key)
    assert bench.instrument.running
    bench.clock.sleep(duration_s=LEASE_S + 1)
    bench.steps(2)
    assert not bench.instrument.running
    assert words(bench)[-1] == "nobody looked for 60 s: the instrument anna had is closed"
    with pytest.raises(RequestRefused, match="not open for this page any more"):
        jog(bench, key)
    assert not lease.busy


def test_a_refused_order_leaves_it_open_and_one_that_failed_does_not(bench):
    key = opened(bench)
    bench.instrument.answers = [{"refused": TOO_LONG, "over": False}]
    with pytest.raises(RequestRefused, match="too far; value 60 µm; limit 50 µm") as refused:
        jog(bench, key)
    assert refused.value.status == UNFIT
    assert jog(bench, key)[0] == ABOUT
    bench.instrument.answers = [{"refused": TOO_LONG | {"what": "link lost"}, "over": True}]
    with pytest.raises(RequestRefused, match="link lost") as failed:
        jog(bench, key)
    assert failed.value.status == CONFLICT
    assert not bench.instrument.running
    assert words(bench)[-1] == "link lost: the instrument is closed"
    opened(bench, by="ben")


def test_one_that_cannot_be_opened_is_nobody_s(bench, lease):
    bench.instrument.answers = [{"refused": TOO_LONG | {"what": "no board"}, "over": True}]
    with pytest.raises(RequestRefused, match="no board"):
        lease.open(by="anna", objective=None)
    assert lease.shown() is None
    opened(bench, by="ben")


def test_a_driver_that_hangs_is_killed(bench, lease):
    key = opened(bench)
    bench.instrument.stays = True
    bench.instrument.answers = [SILENT]
    with pytest.raises(RequestRefused, match="does not answer; value nothing for 180 s"):
        jog(bench, key)
    assert bench.instrument.ends == ["let go", "killed"]
    assert lease.shown() is None
    assert "its process did not go and was killed" in words(bench)[-1]


def test_one_that_does_not_go_is_killed(bench, lease):
    key = opened(bench)
    bench.instrument.stays = True
    lease.close(key, by="anna")
    bench.steps()
    assert bench.instrument.ends == ["let go"]
    assert lease.busy
    bench.clock.sleep(duration_s=CLOSE_S)
    bench.steps()
    assert bench.instrument.ends == ["let go", "killed"]
    assert not lease.busy


def test_what_the_next_one_opened_is_not_killed_for_the_one_before(bench, lease, monkeypatch):
    key = opened(bench)
    bench.instrument.stays = True
    lease.close(key, by="anna")
    bench.clock.sleep(duration_s=CLOSE_S + 1)

    def goes_meanwhile():
        monkeypatch.undo()
        bench.instrument.running = False
        lease.close(key, by="anna")
        opened(bench, by="ben")
        return True

    monkeypatch.setattr(bench.instrument, "alive", goes_meanwhile)
    lease.step()
    assert bench.instrument.ends == ["let go"]
    assert lease.shown()["by"] == "ben"


def test_whoever_looks_whether_it_lives_keeps_nobody_from_opening_it(tmp_path, monkeypatch):
    monkeypatch.setattr(f"{MODULE}.WORKER", "__hello__")
    process, refused = InstrumentProcess(tmp_path / "by_hand.lock"), []

    def start():
        try:
            process.start({})
        except BlockingIOError:
            refused.append("a process of an earlier service")
        except BrokenPipeError:
            pass  # it has ended already

    opening = Thread(target=start)

    class Looked(ProcessLock):
        def lives(self, started):
            if opening.ident is None:
                lock = self.take()  # as the look does, for an instant
                opening.start()
                opening.join(0.1)
                os.close(lock)
            return super().lives(started)

    monkeypatch.setattr(f"{MODULE}.ProcessLock", Looked)
    assert process.alive() is False
    opening.join()
    assert refused == []
    assert process.wait(within_s=60)
    process.forget()


def test_a_board_that_watches_no_host_is_opened_once_more_to_be_dark(bench, lease):
    bench.instrument.answers = [UNWATCHED, SILENT, {"done": {}}]
    bench.instrument.stays = True
    key = opened(bench)
    with pytest.raises(RequestRefused, match="does not answer"):
        jog(bench, key)
    assert "old-board may be lit, and is opened once more, dark" in words(bench)[-1]
    assert bench.instrument.orders[-1]["quiet_s"] == 0
    bench.steps()
    assert lease.busy
    with pytest.raises(RequestRefused, match="the service has the instrument"):
        lease.open(by="ben", objective=None)
    bench.instrument.running = False
    bench.steps()
    assert words(bench)[-1] == "the instrument was opened once more, and is dark"
    assert not lease.busy


def test_one_that_cannot_be_made_dark_is_somebody_s_to_look_at(bench, lease):
    bench.instrument.answers = [UNWATCHED, SILENT, SILENT]
    bench.instrument.stays = True
    key = opened(bench)
    with pytest.raises(RequestRefused):
        jog(bench, key)
    bench.clock.sleep(duration_s=OPEN_S + CLOSE_S)
    bench.steps()
    assert words(bench)[-1] == "look whether a light is on: the instrument does not answer"
    assert not lease.busy


def test_the_service_does_not_end_before_it_is_closed(bench):
    opened(bench)
    bench.instrument.stays = True
    bench.service.end()
    bench.steps()
    assert bench.instrument.ends == ["let go"]
    assert bench.service.works()
    with pytest.raises(RequestRefused, match="the service ends"):
        opened(bench, by="ben")
    bench.instrument.running = False
    bench.steps()
    assert not bench.service.works()


def test_what_an_earlier_service_left_is_waited_for_and_then_killed(bench, lease):
    opened(bench)
    service = bench.begin()
    service.queue.add(PLAN, by="ben")
    bench.steps()
    assert service.keeper.waits_for == (
        "a process of an earlier service has the instrument; plans wait for it"
    )
    with pytest.raises(RequestRefused, match="an earlier service still has the instrument"):
        opened(bench)
    bench.clock.sleep(duration_s=CLOSE_S)
    bench.steps()
    assert bench.instrument.ends == ["killed"]
    assert bench.item().state == "running"


def test_two_orders_at_once_take_turns(bench, lease, monkeypatch):
    monkeypatch.setattr("runtime.appliance.service.by_hand.lease.TURN_S", 0.01)
    key = opened(bench)
    with lease._held.turn, pytest.raises(RequestRefused, match="busy with the order before"):
        jog(bench, key)
    bench.instrument.answers = [OPENED]
    assert jog(bench, key)[0] == ABOUT
