"""A bundle on its way to devices: over something like ssh, over a real sshd, onto a stick."""

from __future__ import annotations

import io
import json
import os
import shlex
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from runtime.appliance.flash import stick
from runtime.cli.commands.flash import flash, gravest
from runtime.errors import ConfigRefused, ModelRefused, StorageFailed
from runtime.inference.store import read_state
from tests.runtime.appliance.devices import NAME

if TYPE_CHECKING:
    Forge = Any
Maker = Callable[..., bytes]
ROOT = Path(__file__).resolve().parents[3]
SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def send(bundle: Path, *hosts: str, **options: Any) -> tuple[dict[str, Any], str]:
    """Return what flashing gives, and all that an engineer sees."""
    console = Console(file=io.StringIO(), width=200)
    given = {"path": None, "ssh": "ssh", "remote": "nightscope", "again": False, **options}
    told = flash(bundle=bundle, hosts=hosts, console=console, **given)
    assert isinstance(console.file, io.StringIO)
    return told, console.file.getvalue()


@pytest.fixture
def bundle(maker: Maker, tmp_path: Path) -> Path:
    path = tmp_path / "to-send.nsb"
    path.write_bytes(maker("1.0.0"))
    return path


@pytest.fixture
def news(maker: Maker, tmp_path: Path) -> Path:
    """Return a version that no release has shipped."""
    path = tmp_path / "news.nsb"
    path.write_bytes(maker("9.0.0"))
    return path


def speaking(tmp_path: Path, lines: str) -> str:
    """Return the name of a program that stands for ssh and the device behind it."""
    program = tmp_path / "ssh"
    program.write_text(f"#!/bin/sh\ncd {shlex.quote(str(tmp_path))}\n{lines}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)


ACCEPTED = json.dumps(
    {
        "name": NAME, "version": "1.0.0", "before": "0.9.0", "runs_as": "onnxruntime int8 together",
        "p99_ms": 7.25, "trial_tiles": 50, "changed": True,
    }
)  # fmt: skip


def test_only_what_is_missing_is_sent_whatever_the_login_shell_says_first(
    bundle: Path, tmp_path: Path
) -> None:
    ssh = speaking(
        tmp_path, f"echo Welcome; echo '{{\"have\": 5000}}'; cat > got; echo '{ACCEPTED}'"
    )
    told, seen = send(bundle, "scope", ssh=ssh)
    assert told["exit_code"] == 0
    assert (tmp_path / "got").read_bytes() == bundle.read_bytes()[5000:]
    assert (
        "scope: accepted: strip-match 1.0.0 is active (it was 0.9.0), on trial for 50 good tiles; "
        "runs as onnxruntime int8 together, p99 7.2 ms\n"
    ) in seen


def test_a_connection_that_breaks_is_taken_up_again(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.appliance.flash.ssh.PAUSE_S", 0.0)
    ssh = speaking(
        tmp_path,
        "if [ ! -e once ]; then touch once; echo '{\"have\": 0}'; head -c 3000 > got; exit 255\n"
        "fi\n"
        f"echo '{{\"have\": 3000}}'; cat >> got; echo '{ACCEPTED}'",
    )
    told, seen = send(bundle, "scope", ssh=ssh)
    assert told["exit_code"] == 0
    assert (tmp_path / "got").read_bytes() == bundle.read_bytes()
    assert "scope: accepted (called 2 times):" in seen


def test_a_connection_that_breaks_every_time_says_how_to_go_on(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.appliance.flash.ssh.PAUSE_S", 0.0)
    ssh = speaking(tmp_path, "echo '{\"have\": 0}'; head -c 10 > /dev/null; exit 255")
    told, seen = send(bundle, "scope", ssh=ssh)
    assert told["exit_code"] == 4
    assert "the connection broke 5 times; flash again: it goes on from there" in seen


REFUSAL = json.dumps(
    {"error": "the model is too slow on this device", "kind": "ModelRefused", "exit_code": 6}
)


@pytest.mark.parametrize(
    ("lines", "code", "words"),
    [
        ("echo 'ssh: connect: no route' >&2; exit 255", 4, "not reached: ssh: connect: no route"),
        ("echo 'sh: nightscope: not found' >&2; exit 127", 127, "name it with --remote"),
        (f"echo '{{\"have\": 0}}'; echo '{REFUSAL}'; exit 6", 6, "refused: the model is too slow"),
        (f"echo '{REFUSAL}'; exit 6", 6, "refused: the model is too slow"),
        (f"echo '{{\"have\": 0}}'; cat >/dev/null; echo '{REFUSAL}'; exit 8", 8, "rolled back"),
    ],
)
def test_every_outcome_has_its_words_and_its_exit_code(
    bundle: Path, tmp_path: Path, lines: str, code: int, words: str
) -> None:
    told, seen = send(bundle, "scope", ssh=speaking(tmp_path, lines))
    assert told["exit_code"] == code
    assert words in seen


def test_several_devices_are_told_one_by_one_and_the_gravest_counts(
    bundle: Path, tmp_path: Path
) -> None:
    ssh = speaking(
        tmp_path,
        'case "$*" in *bad*) exit 255;; esac\n'
        f"echo '{{\"have\": 0}}'; cat >/dev/null; echo '{ACCEPTED}'",
    )
    told, seen = send(bundle, "one", "bad", "two", ssh=ssh)
    assert [row["host"] for row in told["hosts"]] == ["one", "bad", "two"]
    assert told["exit_code"] == 4
    assert "2 of 3 devices accepted it" in seen


def test_the_gravest_outcome_is_a_model_that_ran_and_failed() -> None:
    assert gravest([0, 0]) == 0
    assert gravest([0, 4, 6, 8, 7]) == 8
    assert gravest([4, 6, 7]) == 6
    assert gravest([4, 99]) == 99


@pytest.mark.parametrize("host", ["-oProxyCommand=evil", "", "a b"])
def test_a_host_that_ssh_would_take_for_an_option_is_refused(
    bundle: Path, tmp_path: Path, host: str
) -> None:
    with pytest.raises(ConfigRefused, match="is no host"):
        send(bundle, host, ssh=speaking(tmp_path, "touch called"))
    assert not (tmp_path / "called").exists()


def test_a_file_that_is_no_bundle_is_not_sent(tmp_path: Path) -> None:
    path = tmp_path / "a.nsb"
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(ModelRefused, match="ends before its signature"):
        send(path, "scope")


def test_a_stick_gets_the_bundle_under_its_own_name(bundle: Path, tmp_path: Path) -> None:
    place = tmp_path / "stick"
    place.mkdir()
    told, seen = send(bundle, path=place)
    there = place / f"{NAME}-1.0.0.nsb"
    assert told["path"] == str(there)
    assert there.read_bytes() == bundle.read_bytes()
    assert f"on the controller: nightscope model install {NAME}-1.0.0.nsb" in seen


def test_a_stick_that_lies_is_found_out(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stick, "hash_of", lambda path: "0" * 64)
    with pytest.raises(StorageFailed, match=r"does not hold.*take another stick"):
        send(bundle, path=tmp_path)


def test_a_stick_that_is_not_mounted_is_named(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigRefused, match=r"is not there.*mounted"):
        send(bundle, path=tmp_path / "nowhere")


@dataclass(frozen=True)
class Server:
    """A real sshd for this user alone, and a device behind it."""

    ssh: str
    remote: str
    store: Path
    host: str


@pytest.fixture
def server(tmp_path: Path, forge: Forge) -> Iterator[Server]:
    """Start sshd on a free port with keys of its own, and a second state directory behind it."""
    if SSHD is None:
        if os.environ.get("NIGHTSCOPE_SSHD") == "required":
            pytest.fail("there is no sshd: apt-get install openssh-server")
        pytest.skip("there is no sshd")
    home = tmp_path / "sshd"
    home.mkdir(mode=0o700)
    for key in ("host", "user"):
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / key)]
        subprocess.run(make, check=True)
    shutil.copy(home / "user.pub", home / "authorized")
    port = _free_port()
    (home / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {home}/host\nPidFile none\n"
        f"AuthorizedKeysFile {home}/authorized\nStrictModes no\nUsePAM no\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    # Told to listen on a port, it opens that before it says so.
    command = [SSHD, "-D", "-e", "-f", str(home / "config")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if "listening" in line:
                    break
            public = (home / "host.pub").read_text()
            (home / "known").write_text(f"[127.0.0.1]:{port} {public}")
            device = tmp_path / "second"
            environment = {
                "NIGHTSCOPE_STORE": device / "models",
                "NIGHTSCOPE_KEYS": forge.keys,
                "XDG_CACHE_HOME": device / "cache",
                "PYTHONPATH": ROOT,
            }
            words = " ".join(f"{name}={shlex.quote(str(at))}" for name, at in environment.items())
            yield Server(
                ssh=f"ssh -F none -p {port} -i {home}/user -o IdentitiesOnly=yes "
                f"-o UserKnownHostsFile={home}/known -o StrictHostKeyChecking=yes",
                remote=f"env {words} {shlex.quote(sys.executable)} -m runtime",
                store=device / "models",
                host=f"{getuser()}@127.0.0.1",
            )
        finally:
            process.terminate()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.mark.slow
def test_over_a_real_sshd_to_a_second_state_directory(
    server: Server, news: Path, maker: Maker, tmp_path: Path
) -> None:
    to = {"ssh": server.ssh, "remote": server.remote}
    told, seen = send(news, server.host, **to)
    assert told["exit_code"] == 0, seen
    assert "accepted: strip-match 9.0.0 is active (it was 1.1.0)" in seen
    kept = read_state(server.store).model(NAME).kept
    assert kept is not None
    assert kept.version == "9.0.0"

    _, seen = send(news, server.host, **to)
    assert "is active there already" in seen

    newer = tmp_path / "newer.nsb"
    newer.write_bytes(maker("9.1.0"))
    told, seen = send(newer, server.host, **to)
    assert told["exit_code"] == 6
    assert "refused: bundle strip-match 9.1.0 cannot come while version 9.0.0 is on trial" in seen


@pytest.mark.slow
def test_a_real_connection_that_is_cut_goes_on_where_it_was(
    server: Server, news: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first ssh gets the begin of the bundle, and no more."""
    monkeypatch.setattr("runtime.appliance.flash.ssh.PAUSE_S", 0.0)
    cutting = speaking(
        tmp_path,
        f'if [ ! -e once ]; then touch once; head -c 6000 | {server.ssh} "$@"; exit; fi\n'
        f'exec {server.ssh} "$@"',
    )
    told, seen = send(news, server.host, ssh=cutting, remote=server.remote)
    assert told["exit_code"] == 0, seen
    assert "accepted (called 2 times)" in seen
    assert not list((server.store / "incoming").iterdir())


@pytest.mark.slow
def test_a_device_that_does_not_know_the_engineer_is_not_reached(
    server: Server, news: Path, tmp_path: Path
) -> None:
    other = server.ssh.replace("/user ", "/nobody ")
    told, seen = send(news, server.host, ssh=other)
    assert told["exit_code"] == 4
    assert "Permission denied" in seen
