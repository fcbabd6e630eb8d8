"""A terminal as a client: what it asks for happens at the service, and it only looks on."""

import io
import threading

import pytest
from rich.console import Console

from runtime.appliance.service.client import ServiceAway
from runtime.cli.commands import queue, serve
from runtime.errors import ConfigRefused, InputRefused
from tests.runtime.appliance.service.service_bench import EVENING_S, PLAN, served


@pytest.fixture
def service(tmp_path):
    with served(tmp_path) as service:
        yield service


@pytest.fixture
def asked(service, tmp_path):
    """How the service is asked: where it listens, and the token's file."""
    file = tmp_path / "token"
    file.write_text(service.tokens["operate"] + "\n")
    url = f"http://127.0.0.1:{service.port}"
    return {"url": url, "token_file": file, "authority": None}


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=200)


def test_a_plan_is_queued_moved_held_scheduled_and_removed(asked, console, tmp_path, service):
    file = tmp_path / "corner.yaml"
    file.write_text(PLAN)
    add = {"service": asked, "settings": None, "console": console}
    first = queue.add(plan=str(file), start_at=EVENING_S + 60, **add)
    second = queue.add(plan=str(file), start_at=None, **add)
    assert (first["position"], second["position"]) == (0, 1)

    def change(**what):
        return queue.change(service=asked, item=second["id"], what=what, console=console)

    assert change(position=0)["position"] == 0
    assert change(held=True)["state"] == "held"
    assert change(held=False)["state"] == "waiting"
    assert change(start_at=EVENING_S + 5)["start_at"] == EVENING_S + 5
    change()
    shown = queue.show(service=asked, console=console)
    assert [item["id"] for item in shown["queue"]] == [first["id"]]
    said = console.file.getvalue()
    assert "corner: place 0" in said
    assert "no night runs" in said


def test_the_terminal_follows_a_night_to_its_end(asked, console, tmp_path, service):
    file, bench, ended = tmp_path / "corner.yaml", service.bench, []
    file.write_text(PLAN)
    broker = bench.service.broker

    def attach():
        ended.append(queue.attach(service=asked, plan=file, console=console))

    terminal = threading.Thread(target=attach)
    terminal.start()
    while not (bench.item() and broker.watchers):
        pass
    bench.steps()
    broker.publish("state", bench.service.metrics.state())
    with bench.journal() as journal:
        journal.note(state="finished", tiles_planned=9)
    bench.night().end(5, attention=["1 tile given up: r000_c001"])
    bench.steps()
    broker.publish("state", bench.service.metrics.state())
    terminal.join()
    assert ended[0]["exit_code"] == 5
    said = console.file.getvalue()
    assert "corner · starting · 0/0 tiles" in said
    assert "finished, and needs attention: 1 tile given up" in said


def test_what_the_service_refuses_is_told_in_its_words(asked, console):
    with pytest.raises(InputRefused, match="no night runs"):
        queue.night(service=asked, verb="pause", what={}, console=console)


def test_a_plan_that_is_nowhere_is_told_of_here_and_there(asked, console, tmp_path):
    file = tmp_path / "absent.yaml"
    with pytest.raises(InputRefused, match=r"no file .*absent\.yaml here, and the service says: "):
        queue.add(plan=str(file), settings=None, start_at=None, service=asked, console=console)
    file.write_text("name: 5")
    with pytest.raises(InputRefused, match=r"^(?!.*and the service says)"):
        queue.add(plan=str(file), settings=None, start_at=None, service=asked, console=console)


def test_no_token_and_no_service_are_refused_with_what_to_do(asked, console, monkeypatch):
    monkeypatch.delenv(queue.TOKEN, raising=False)
    with pytest.raises(ConfigRefused, match="nightscope token new"):
        queue.show(service={**asked, "token_file": None}, console=console)
    with pytest.raises(ServiceAway, match="nightscope serve"):
        queue.show(service={**asked, "url": "http://127.0.0.1:9"}, console=console)
    with pytest.raises(ConfigRefused, match="http://HOST:PORT"):
        queue.show(service={**asked, "url": "scope.lab"}, console=console)


def test_tokens_are_made_listed_and_revoked_on_the_controller(tmp_path, console):
    with served(tmp_path) as service:
        settings = tmp_path / "settings.toml"
        made = serve.new(name="anna", role="look", settings=settings, console=console)
        headers = {"Authorization": f"Bearer {made['token']}"}
        assert service("GET", "/api/v1/me", role=None, headers=headers).json["name"] == "anna"
        with pytest.raises(ConfigRefused, match="there is a token of that name"):
            serve.new(name="anna", role="look", settings=settings, console=console)
        with pytest.raises(ConfigRefused, match="no such role"):
            serve.new(name="ben", role="king", settings=settings, console=console)
        names = [row["name"] for row in serve.listed(settings=settings, console=console)["tokens"]]
        assert "anna" in names
        serve.revoke(name="anna", settings=settings, console=console)
        assert service("GET", "/api/v1/me", role=None, headers=headers).status == 401
        with pytest.raises(InputRefused, match="no token of that name"):
            serve.revoke(name="anna", settings=settings, console=console)
