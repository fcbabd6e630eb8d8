"""Several real services, asked at once; and those that do not answer."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runtime.cli.commands.fleet import _url
from runtime.cli.verbs import app
from tests.runtime.appliance.service.service_bench import PLAN, served


def asked(*arguments: object) -> tuple[int, dict, str]:
    ended = CliRunner().invoke(app, ["fleet", "status", *map(str, arguments), "--json"])
    return ended.exit_code, json.loads(ended.stdout), ended.stderr


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address where nobody listens, and nobody will: another test might, were it given back."""
    with socket.socket() as kept:
        kept.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{kept.getsockname()[1]}"


def test_one_table_of_all_says_who_needs_somebody(tmp_path: Path, nobody: str) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
    with served(tmp_path / "a") as one, served(tmp_path / "b") as other:
        hosts = [f"127.0.0.1:{service.port}" for service in (one, other)]
        lines = [f"{h} {s.tokens['look']}" for h, s in zip(hosts, (one, other), strict=True)]
        tokens = tmp_path / "tokens"
        tokens.write_text("# the lab\n" + "\n".join([*lines, f"{nobody} token"]))
        assert one("POST", "/api/v1/queue", {"plan": PLAN}).status == 201
        code, result, table = asked("--tokens", tokens)
        assert code == 5
        rows = {row["host"]: row for row in result["hosts"]}
        assert list(rows) == [*hosts, nobody]
        assert len(rows[hosts[0]]["queue"]) == 1
        assert rows[hosts[1]]["night"] is None
        assert [bool(rows[host]["needs"]) for host in rows] == [False, False, True]
        assert "does not answer" in table
        assert f"{nobody}: no service answers" in table
        code, result, _ = asked(*hosts, "--tokens", tokens)
        assert (code, len(result["hosts"])) == (0, 2)


def test_a_night_that_waits_for_a_person_is_needed(tmp_path: Path) -> None:
    with served(tmp_path) as service:
        assert service("POST", "/api/v1/queue", {"plan": PLAN}).status == 201
        service.bench.steps(2)
        with service.bench.journal():
            pass
        service.bench.night().end(3, error="the disk is full", kind="DiskFull")
        service.bench.steps(2)
        tokens = tmp_path / "tokens"
        tokens.write_text(f"127.0.0.1:{service.port} {service.tokens['look']}")
        code, result, _ = asked("--tokens", tokens)
    assert code == 5
    assert "the disk is full" in result["hosts"][0]["needs"]


def test_a_night_that_was_refused_is_needed_and_one_that_was_aborted_is_not(tmp_path: Path) -> None:
    with served(tmp_path) as service:
        assert service("POST", "/api/v1/queue", {"plan": PLAN}).status == 201
        service.bench.steps(2)
        service.bench.night().end(3, error="no such board", kind="ConfigRefused")
        service.bench.steps(2)
        tokens = tmp_path / "tokens"
        tokens.write_text(f"127.0.0.1:{service.port} {service.tokens['look']}")
        code, result, _ = asked("--tokens", tokens)
        assert (code, result["hosts"][0]["needs"]) == (5, "corner was not scanned: no such board")
        store = service.bench.service.store
        store.change(1, lambda item: replace(item, reason="aborted"))
        assert asked("--tokens", tokens)[0] == 0


def test_a_wrong_token_is_said_and_never_shown(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("NIGHTSCOPE_TOKEN", "nightscope_wrong")
    with served(tmp_path) as service:
        code, result, table = asked(f"127.0.0.1:{service.port}")
    assert code == 5
    assert result["hosts"][0]["needs"]
    assert "wrong" not in table


@pytest.mark.parametrize(
    ("content", "words"),
    [("", "no controller is named"), ("one two three", "line 1"), ("lonely", "line 1")],
)
def test_a_list_of_no_use_is_refused(tmp_path: Path, content: str, words: str) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(content)
    ended = CliRunner().invoke(app, ["fleet", "status", "--tokens", str(tokens)])
    assert ended.exit_code == 3
    assert words in ended.stderr


def test_no_token_is_refused(monkeypatch) -> None:
    monkeypatch.delenv("NIGHTSCOPE_TOKEN", raising=False)
    ended = CliRunner().invoke(app, ["fleet", "status", "scope-1"])
    assert ended.exit_code == 3
    assert "no token to ask scope-1 with" in ended.stderr


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("scope-1", "https://scope-1:8470"),
        ("scope-1:443", "https://scope-1:443"),
        ("localhost", "http://localhost:8470"),
        ("[::1]", "http://[::1]:8470"),
        ("[2001:db8::1]:9000", "https://[2001:db8::1]:9000"),
        ("http://inside.example", "http://inside.example"),
    ],
)
def test_a_token_leaves_this_machine_by_tls(host: str, url: str) -> None:
    assert _url(host) == url
