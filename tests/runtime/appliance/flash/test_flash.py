"""A bundle on its way to devices: over something like ssh, onto a stick."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.appliance.flash import stick
from runtime.cli.commands.flash import gravest
from runtime.errors import ConfigRefused, ModelRefused, StorageFailed
from tests.runtime.appliance.flash.flashing import send, speaking
from tests.runtime.appliance.models.devices import NAME

Maker = Callable[..., bytes]


@pytest.fixture
def bundle(maker: Maker, tmp_path: Path) -> Path:
    path = tmp_path / "to-send.nsb"
    path.write_bytes(maker("1.0.0"))
    return path


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
        'case " $* " in *" bad "*) exit 255;; esac\n'
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
