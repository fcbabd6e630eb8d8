"""A night that ended is told, by real HTTP and real mail, once; and never fails because of that."""

from __future__ import annotations

import base64
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Any, cast

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from runtime.appliance.messages.after_night import deliver, tell
from runtime.appliance.messages.message import Message
from runtime.appliance.messages.of_night import messages_of
from runtime.appliance.messages.sending import _deliver, send
from runtime.appliance.messages.told import may_be_sent, note_sent
from runtime.appliance.service.courier import Courier
from runtime.appliance.service.kept.records import Happening
from runtime.cli.verbs import app
from runtime.clock import SystemClock
from runtime.config.message_settings import MessagesSection
from runtime.config.settings import parse_settings
from runtime.errors import ConfigRefused
from runtime.instant import Instant
from runtime.record.run_folder import RunFolder
from tests.message_sinks import Mail, Web, listening
from tests.night_fakes import SETTINGS, Bench, Night, silent

NOW = Instant(boot_id="b", monotonic_s=0.0, wall_s=1.8e9)
ROW = "name: bench\nobjective: 10x\ngrid: {rows: 1, columns: 2, centre_um: [0, 0]}\n"
MESSAGES = '[messages]\ntargets = "{targets}"\nlink = "https://scope.example/"\n'


def later(minutes: float) -> Instant:
    return Instant(boot_id="b", monotonic_s=0.0, wall_s=NOW.wall_s + 60 * minutes)


@pytest.fixture
def web():
    with listening(Web()) as server:
        yield server


@pytest.fixture(scope="module")
def spent(tmp_path_factory: pytest.TempPathFactory) -> Night:
    """A night whose messages go where the file `targets` beside it says."""
    folder = tmp_path_factory.mktemp("told")
    settings = MESSAGES.format(targets=folder / "targets") + SETTINGS
    night = Night(folder / "night", Bench(), plan=ROW, settings=settings)
    night.go_on()
    return night


@pytest.fixture
def targets(spent: Night, web: Web) -> Path:
    file = spent.path.parent / "targets"
    file.write_text(f"# who is told\n\n{web.address}\n")
    return file


@pytest.fixture
def night(spent: Night, targets: Path) -> Night:
    with spent.journal() as journal:
        journal.note(messages={})
    return spent


def told(night: Night, *, code: int, reason: str = "") -> None:
    tell(RunFolder(night.path), silent(), clock=SystemClock(), code=code, reason=reason)


def occasions(night: Night, **how: object) -> list[str]:
    folder = RunFolder(night.path)

    def asked(journal):
        _, settings = folder.configuration(journal)
        found = messages_of(folder, journal, settings, now=NOW, **({"code": 0} | how))
        return [message.occasion for message in found]

    return night.read(asked)


def test_a_night_is_told_with_its_map_and_a_link(night: Night, web: Web) -> None:
    told(night, code=0)
    (got,) = web.taken
    assert got["title"].startswith("bench on ")
    assert got["title"].endswith(": finished")
    assert "2 of 2 tiles taken" in got["message"]
    assert got["message"].endswith("https://scope.example/#night")
    assert got["type"] == "success"
    (picture,) = got["attachments"]
    shown = cv2.imdecode(np.frombuffer(base64.b64decode(picture["base64"]), np.uint8), 1)
    assert shown.shape[0] > 50
    events = night.read(lambda journal: journal.events())
    assert [event.kind for event in events][-1] == "message sent"


def test_mail_arrives_with_the_picture(night: Night, targets: Path) -> None:
    with listening(Mail()) as mail:
        targets.write_text(mail.address)
        told(night, code=5)
        (got,) = mail.taken
    assert "needs attention" in str(got["Subject"])
    kinds = [part.get_content_type() for part in got.walk()]
    assert "image/jpeg" in kinds


@pytest.mark.parametrize(
    ("code", "occasion"),
    [(0, "finished"), (5, "attention"), (4, "hardware"), (7, "disk"), (3, "paused"), (1, "paused")],
)
def test_every_ending_is_an_occasion(night: Night, code: int, occasion: str) -> None:
    assert occasions(night, code=code, reason="the lamp is dead")[0] == occasion


def test_who_stops_a_night_is_not_told_that_it_stopped(night: Night) -> None:
    assert occasions(night, code=130) == []


def test_a_disk_too_small_for_another_night_is_told(night: Night, monkeypatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Disk", (), {"free": 10**6}))
    assert occasions(night) == ["finished", "disk"]


def test_calibrations_that_run_out_are_told(night: Night) -> None:
    folder = RunFolder(night.path)

    def asked(journal):
        _, settings = folder.configuration(journal)
        by_hand = settings.calibration.model_copy(update={"automatic": False})
        settings = settings.model_copy(update={"calibration": by_hand})
        made = journal.fact("calibrations")[0]["made"]["wall_s"]
        day_85 = Instant(boot_id="b", monotonic_s=0.0, wall_s=made + 85 * 86_400)
        return list(messages_of(folder, journal, settings, code=0, now=day_85))

    due = night.read(asked)[-1]
    assert due.occasion == "calibration"
    assert any("holds for 5 more days" in line for line in due.lines)


def courier(night: Night, targets: Path) -> Courier:
    settings = parse_settings(SETTINGS + "finish = 60000\n", source=targets)
    section = MessagesSection(targets=targets)
    settings = settings.model_copy(update={"messages": section})
    return Courier(settings=settings, runs=night.path.parent, clock=SystemClock())


def happened(kind: str, words: str, run: str = "night") -> Happening:
    return Happening(at=SystemClock().instant(), run=run, kind=kind, words=words)


def test_a_night_that_stands_still_is_told_by_the_service(
    night: Night, web: Web, targets: Path
) -> None:
    courier(night, targets).carry(happened("stalled", "nothing journaled for 1,300 s"))
    (got,) = web.taken
    assert got["title"].endswith(": stalled")
    assert "1,300 s" in got["message"]
    assert f"nightscope resume {night.path}" in got["message"]


def test_a_night_that_died_without_a_word_is_told_and_one_that_told_itself_is_not(
    night: Night, web: Web, targets: Path
) -> None:
    carrier = courier(night, targets)
    told(night, code=4, reason="the stage does not answer")
    carrier.carry(happened("attention", "paused: the stage does not answer"))
    assert len(web.taken) == 1
    with night.journal() as journal:
        journal.note(messages={})
    carrier.carry(happened("attention", "paused after 4 attempts without a tile: signal 9"))
    assert "signal 9" in web.taken[1]["message"]
    carrier.carry(happened("finished", "finished, and nothing needs attention"))
    assert len(web.taken) == 2


def test_a_plan_that_is_refused_at_night_is_told(night: Night, web: Web, targets: Path) -> None:
    listener = courier(night, targets).listener()
    listener(happened("refused", "no such board", run="2026-12-01-liver-3"))
    deadline = time.monotonic() + 20
    while not web.taken and time.monotonic() < deadline:
        time.sleep(0.01)
    (got,) = web.taken
    assert "refused, nothing was scanned" in got["title"]
    assert got["message"] == "no such board"


def test_what_the_service_cannot_tell_is_in_its_log(night: Night, targets: Path, caplog) -> None:
    courier(night, targets).carry(happened("stalled", "w", run="no such run"))
    assert "holds no run" in caplog.text


def test_the_same_news_is_told_once_until_the_quiet_is_over(night: Night, web: Web) -> None:
    section = MessagesSection(targets=Path("unused"), quiet_min=60, most_per_day=3)
    message = Message(occasion="paused", title="night: paused")
    with night.journal() as journal:
        assert may_be_sent(message, journal, section, now=NOW)
        note_sent(message, journal, now=NOW)
        assert not may_be_sent(message, journal, section, now=later(59))
        assert not may_be_sent(message, journal, section, now=later(-600))
        assert may_be_sent(message, journal, section, now=later(61))
        for title in "ab":
            note_sent(Message(occasion="paused", title=title), journal, now=NOW)
        other = Message(occasion="paused", title="c")
        assert not may_be_sent(other, journal, section, now=later(61))
        assert may_be_sent(other, journal, section, now=later(25 * 60))


def test_what_nobody_wants_to_hear_is_not_sent(night: Night, web: Web, targets: Path) -> None:
    section = MessagesSection(targets=targets, on=("hardware",))
    with night.journal() as journal:
        deliver(Message(occasion="finished", title="t"), journal, section, now=NOW)
    assert web.taken == []


def test_a_server_that_refuses_changes_nothing_but_is_said(night: Night, web: Web) -> None:
    web.status = 500
    told(night, code=0)
    last = night.read(lambda journal: journal.events())[-1]
    assert (last.level, last.kind) == ("warning", "message")
    assert "'finished' was not sent: JSON: " in last.message
    assert web.address not in last.message


def test_a_server_that_never_answers_is_given_up(
    night: Night, targets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    monkeypatch.setattr("runtime.appliance.messages.sending.WAIT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent_server:
        targets.write_text(f"json://127.0.0.1:{silent_server.getsockname()[1]}/")
        failed = send(Message(occasion="finished", title="t", lines=("x",)), targets)
    assert failed == ("no answer within 0 s",)


class Deaf:
    """It takes nothing; `says` complains."""

    service_name = "JSON"

    def __init__(self, says: Callable[[logging.Logger], None]) -> None:
        self._says = says

    def notify(self, **_: object) -> bool:
        self._says(logging.getLogger("apprise"))
        return False


def test_what_is_told_is_the_complaint_of_the_server_that_was_asked() -> None:
    asked, go_on, first, second = Event(), Event(), [], []

    def late(log: logging.Logger) -> None:
        asked.set()
        go_on.wait()
        log.warning("the first is full")

    def at_once(log: logging.Logger) -> None:
        log.warning("the second is full")
        go_on.set()
        waiting.join()
        assert not log.propagate, "nor is it to be seen now"

    message, reached = Message(occasion="finished", title="t"), [Deaf(late), Deaf(at_once)]
    waiting = Thread(target=_deliver, args=(reached[:1], message, None, first))
    waiting.start()
    asked.wait()
    _deliver(cast(Any, reached[1:]), message, None, second)
    assert first == ["JSON: the first is full"]
    assert second == ["JSON: the second is full"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "names nobody"),
        ("# mailto://a@b\n", "names nobody"),
        ("json://localhost\nnosuch://secret@host\n", "line 2: is no address"),
        (b"\xff\xfe", "not a text file"),
    ],
)
def test_a_file_of_no_use_is_refused_without_its_secrets(tmp_path: Path, content, words) -> None:
    file = tmp_path / "targets"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigRefused, match=words) as refused:
        send(Message(occasion="finished", title="t"), file)
    assert "secret" not in str(refused.value)


def test_the_targets_lie_beside_the_settings(tmp_path: Path) -> None:
    text = '[messages]\ntargets = "who"\n' + SETTINGS
    settings = parse_settings(text + "finish = 1\n", source=tmp_path / "settings.toml")
    assert settings.messages.targets == tmp_path / "who"


def test_the_test_verb_says_who_took_it(tmp_path: Path, targets: Path, web: Web) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text(MESSAGES.format(targets=targets) + SETTINGS + "finish = 60000\n")
    asked = ["notify", "test", "--settings", str(settings), "--json"]
    good = CliRunner().invoke(app, asked)
    assert (good.exit_code, json.loads(good.stdout)["failed"]) == (0, [])
    assert web.taken[0]["title"].endswith("a test")
    web.status = 403
    bad = CliRunner().invoke(app, asked)
    assert bad.exit_code == 5
    assert "JSON" in json.loads(bad.stdout)["failed"][0]


def test_nobody_to_tell_is_refused(tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text(SETTINGS + "finish = 60000\n")
    ended = CliRunner().invoke(app, ["notify", "test", "--settings", str(settings)])
    assert ended.exit_code == 3
    assert "[messages] targets" in ended.stderr
