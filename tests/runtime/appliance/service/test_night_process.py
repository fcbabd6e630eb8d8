"""A night's process outlives the service that started it, and the next one finds it."""

import os
import signal
import sys
import time

import pytest

from runtime.appliance.service.nights.night_process import NightProcess


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Start a shell script in place of `nightscope`; return the process as its service has it."""

    def start(script):
        file = tmp_path / "night"
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(file))
        process = NightProcess(tmp_path / "nights", "night-1")
        process.start(["resume", "run"])
        return process

    return start


def until(true):
    while not true():
        time.sleep(0.005)


def test_another_service_sees_it_stops_it_and_hears_its_last_word(start, tmp_path):
    asked = 'trap \'echo "{\\"error\\": \\"asked\\", \\"exit_code\\": 130}"; exit 130\' TERM'
    first = start(
        f"{asked}\ntouch ready\nwhile :; do sleep 0.01; done".replace(
            "touch ready", f"touch {tmp_path}/ready"
        )
    )
    until((tmp_path / "ready").exists)
    second = NightProcess(tmp_path / "nights", "night-1")
    assert first.alive()
    assert second.alive()
    second.ask_to_stop()
    until(lambda: not second.alive())
    assert second.has_said()
    assert second.ending() == (130, {"error": "asked", "exit_code": 130})
    assert not second.has_said()
    assert first.ending()[0] == 130


def test_one_that_was_killed_says_nothing(start):
    process = start("while :; do sleep 0.01; done")
    process.kill()
    until(lambda: not process.alive())
    assert process.ending() == (-signal.SIGKILL, {})


def test_one_that_has_lost_its_lock_and_still_closes_what_it_had_is_not_over(start, tmp_path):
    closes = "import os, time; os.closerange(3, 100); open('unlocked', 'w'); time.sleep(60)"
    process = start(f'cd {tmp_path}\nexec {sys.executable} -c "{closes}"')
    until((tmp_path / "unlocked").exists)
    assert process.alive()
    process.kill()
    until(lambda: not process.alive())
    assert process.ending() == (-signal.SIGKILL, {})


def test_it_is_interrupted_by_nobody_s_terminal(start, tmp_path):
    process = start(f"ps -o pgid= -p $$ > {tmp_path}/group; echo '{{\"attention\": []}}'")
    until(lambda: not process.alive())
    assert int((tmp_path / "group").read_text()) != os.getpgid(0)
    assert process.ending() == (0, {"attention": []})


def test_one_that_never_was_is_not_alive(tmp_path):
    process = NightProcess(tmp_path, "night-7")
    assert not process.alive()
    assert process.ending() == (None, {})
