"""The queue goes on by what is written down: through ends of every kind, deaths and reboots."""

from dataclasses import replace

import pytest

from runtime.appliance.service.nights import plan_queue
from runtime.appliance.service.nights.outcomes import WAITS_S
from runtime.appliance.service.refusal import RequestRefused
from tests.runtime.appliance.service.service_bench import EVENING_S, PLAN, ServiceBench


@pytest.fixture
def bench(tmp_path):
    bench = ServiceBench(tmp_path)
    bench.begin()
    yield bench
    bench.service.store.close()


def started(bench, count=1):
    """Queue so many plans, and have the first one's process run with a run folder of its own."""
    for _ in range(count):
        bench.service.queue.add(PLAN, by="anna")
    bench.steps()
    with bench.journal() as journal:
        journal.note(state="scanning", tiles_planned=9, planned_ids=["r000_c000", "r000_c001"])
    bench.steps()


def test_plans_run_one_after_the_other_in_the_order_of_the_queue(bench):
    started(bench, 3)
    bench.service.queue.move(3, 0, by="ben")
    assert bench.night().started[0][0] == "run"
    assert list(bench.processes) == ["night-1"]
    with bench.journal() as journal:
        journal.note(state="finished")
    bench.night().end(0, attention=[])
    bench.steps()
    assert (bench.item(1).state, bench.item(3).state) == ("done", "running")
    assert bench.item(2).state == "waiting"


def test_a_night_starts_at_its_time_and_lets_others_go_first(bench):
    bench.service.queue.add(PLAN, by="anna", start_at=EVENING_S + 3600)
    bench.steps()
    assert bench.item().state == "waiting"
    bench.service.queue.add(PLAN, by="anna")
    bench.steps()
    assert [bench.item(n).state for n in (1, 2)] == ["waiting", "running"]


@pytest.mark.parametrize("asked", ["pause", "abort"])
def test_what_is_asked_of_a_night_is_done_after_the_tile_in_hand_and_outlives_a_reboot(
    bench, asked
):
    started(bench)
    bench.service.queue.ask(asked, by="ben")
    bench.steps()
    assert bench.night().asked == ["stop"]
    bench.night().running = False  # the power goes, before anybody heard how it ended
    bench.clock.boot_id = "another"
    bench.begin()
    bench.steps()
    assert bench.item().state == {"pause": "held", "abort": "failed"}[asked]
    assert len(bench.night().started) == 1
    if asked == "pause":
        bench.service.queue.ask("run", by="ben")
        bench.steps()
        assert bench.night().started[-1][0] == "resume"


def test_a_night_goes_on_by_itself_after_service_and_night_were_killed(bench):
    started(bench)
    bench.night().running = False
    bench.begin()
    bench.steps()
    run = str(bench.service.section.runs / bench.item().run)
    assert bench.night().started == [["run", *bench.night().started[0][1:]], ["resume", run]]


def test_a_night_that_outlived_the_service_is_not_started_twice(bench):
    started(bench)
    bench.begin()
    bench.steps()
    assert len(bench.night().started) == 1
    assert bench.service.metrics.state()["night"]["state"] == "scanning"
    with bench.journal() as journal:
        journal.note(state="finished")
    bench.night().end(None, attention=["1 tile given up"])
    bench.steps()
    assert (bench.item().state, bench.item().reason) == ("done", "1 tile given up")


def test_how_a_night_ended_is_heard_by_the_service_after_the_one_that_died(bench):
    started(bench)
    bench.night().end(4, error="the lamp is dark", kind="InstrumentDoubted", exit_code=4)
    bench.begin()
    bench.steps()
    assert (bench.item().state, bench.item().reason) == ("held", "the lamp is dark")
    assert len(bench.night().started) == 1


def test_a_crash_is_tried_again_and_a_person_called_when_that_does_not_help(bench):
    started(bench)
    for wait_s in WAITS_S:
        bench.night().end(-11)
        bench.steps(1, each_s=wait_s - 1)
        count = len(bench.night().started)
        bench.steps(1, each_s=2)
        assert len(bench.night().started) == count  # not before its time
        bench.steps(1)
        assert len(bench.night().started) == count + 1
    bench.night().end(-11)
    bench.steps()
    assert bench.item().state == "held"
    assert "killed by signal 11" in bench.item().reason
    assert bench.said()[-1] == "attention"
    bench.steps(10, each_s=1000)
    assert len(bench.night().started) == 1 + len(WAITS_S)


@pytest.mark.parametrize(
    ("code", "kind", "state"),
    [
        (4, "InstrumentDoubted", "held"),
        (4, "LinkLost", "running"),
        (4, "CameraFailed", "running"),
        (7, "DiskFull", "held"),
        (7, "MemoryShort", "running"),
        (3, "CalibrationExpired", "held"),
        (130, "Stopped", "held"),
        (1, "", "running"),
    ],
)
def test_what_a_person_must_see_to_is_not_tried_again(bench, code, kind, state):
    started(bench)
    bench.night().end(code, **({"error": "so it was", "kind": kind} if kind else {}))
    bench.steps(1)
    assert bench.item().state == state


def test_a_plan_that_is_refused_before_it_began_lets_the_next_one_go(bench):
    for _ in range(2):
        bench.service.queue.add(PLAN, by="anna")
    bench.steps()
    bench.night().end(3, error="no such objective", kind="ConfigRefused", exit_code=3)
    bench.steps()
    assert (bench.item(1).state, bench.item(1).reason) == ("failed", "no such objective")
    assert bench.item(2).state == "running"


def test_a_night_that_stands_still_is_ended_and_resumed(bench):
    bench.begin("stalled_after_s = 60")
    started(bench)
    bench.steps(3, each_s=25)
    assert bench.night().asked == []
    bench.steps(2, each_s=1)
    assert bench.night().asked == ["stop"]
    assert bench.service.metrics.heartbeat().ok is False
    assert bench.service.metrics.state()["night"]["state"] == "stalled"
    bench.steps(8, each_s=20)
    assert bench.night().asked[:2] == ["stop", "stop"]
    assert bench.night().asked[-1] == "kill"
    bench.night().end(-9)
    bench.steps(4, each_s=10)
    assert bench.night().started[-1][0] == "resume"
    assert bench.said().count("stalled") == 1


def test_asked_to_end_the_service_stops_its_night_which_the_next_one_resumes(bench):
    started(bench)
    bench.service.keeper.draining = True
    bench.steps()
    assert bench.night().asked == ["stop"]
    bench.night().end(130, error="stopped on request", kind="Stopped", exit_code=130)
    bench.steps()
    assert (bench.item().state, len(bench.night().started)) == ("running", 1)
    bench.begin()
    bench.steps()
    assert bench.night().started[-1][0] == "resume"


def test_a_night_resumed_while_it_still_stops_goes_on(bench):
    started(bench)
    bench.service.queue.ask("pause", by="anna")
    bench.steps()
    bench.service.queue.ask("run", by="ben")
    bench.night().end(130, error="stopped on request", kind="Stopped", exit_code=130)
    bench.steps()
    assert (bench.item().state, len(bench.night().started)) == ("running", 2)


def test_nothing_starts_while_the_clock_cannot_be_right(bench):
    bench.clock.wall_s = 1000.0
    bench.service.queue.add(PLAN, by="anna")
    bench.steps(5)
    assert bench.processes == {}
    assert "year 1970" in bench.service.metrics.state()["waits_for"]
    assert bench.said().count("clock") == 1
    bench.clock.wall_s = EVENING_S
    bench.steps()
    assert bench.night().started


def test_two_operators_at_once_change_what_stands_there(bench):
    started(bench, 3)
    queue = bench.service.queue
    queue.remove(2, by="anna")
    with pytest.raises(RequestRefused, match="no such plan") as gone:
        queue.hold(2, True, by="ben")
    assert gone.value.status == 404
    with pytest.raises(RequestRefused, match="another night has begun") as other:
        queue.ask("abort", by="ben", night=3)
    assert other.value.status == 409
    queue.ask("abort", by="anna", night=1)
    queue.ask("abort", by="ben", night=1)  # both meant the same
    bench.night().end(130, kind="Stopped", error="stopped")
    bench.steps()
    assert (bench.item(1).state, bench.item(3).state) == ("failed", "running")
    with pytest.raises(RequestRefused, match="it has started already"):
        queue.start_at(3, EVENING_S, by="ben")


def test_an_abort_that_comes_while_an_end_is_judged_is_not_lost(bench, monkeypatch):
    started(bench)
    keeper, queue = bench.service.keeper, bench.service.queue
    put = bench.service.store.change

    def change(number, how):
        monkeypatch.setattr(bench.service.store, "change", put)
        queue.ask("abort", by="ben")
        return put(number, how)

    monkeypatch.setattr(bench.service.store, "change", change)
    bench.night().end(7, error="no room", kind="DiskFull")
    keeper.step()
    bench.steps()
    assert (bench.item().state, bench.item().reason) == ("failed", "aborted")


def test_a_tile_and_a_region_are_given_up_by_name(bench):
    started(bench)
    queue = bench.service.queue
    assert queue.skip(by="ben", tile="r000_c001") == ["r000_c001"]
    with bench.journal() as journal:
        assert journal.skips() == {"r000_c001": "skipped by ben"}
    with pytest.raises(RequestRefused, match="nothing is left of it"):
        queue.skip(by="ben", tile="r000_c001")
    with pytest.raises(RequestRefused, match="no such tile or region"):
        queue.skip(by="ben", tile="r999_c000")


def test_a_name_does_not_break_a_line_of_the_log(bench):
    bench.service.queue.add(PLAN.replace("corner", '"a\\nb\\e[2J"'), by="anna")
    (happening,) = bench.service.store.happenings()
    assert happening.words == "anna queued a\\nb\\x1b[2J"


def test_the_queue_forgets_plans_that_are_long_over(bench, monkeypatch):
    monkeypatch.setattr(plan_queue, "KEPT_OVER", 2)
    for number in range(1, 5):
        bench.service.queue.add(PLAN, by="anna")
        bench.service.store.change(number, lambda item: replace(item, state="done"))
    bench.service.queue.add(PLAN, by="anna")
    assert [item.id for item in bench.service.store.items()] == [3, 4, 5]


def test_names_that_lead_elsewhere_are_refused(bench, tmp_path):
    (tmp_path / "secret.toml").write_text("")
    for given in ({"plan": "../../etc/passwd"}, {"plan": ".hidden"}, {"plan": "a/b"}):
        with pytest.raises(RequestRefused, match="not the name of a file there"):
            bench.service.queue.add(by="ben", **given)
    for name in ("../settings.toml", "plan.yaml", "/etc/hosts"):
        with pytest.raises(RequestRefused, match="not the name of a file there"):
            bench.service.queue.add(PLAN, by="ben", settings=name)
