"""What systemd is told, and what it says to that."""

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
import yaml

from runtime.appliance.service import sd_notify

ROOT = Path(__file__).parents[3]
UNITS = ROOT / "runtime/appliance/units"
UNIT = UNITS / "nightscope.service"
MOST_EXPOSED = 30
"""Tenths: an exposure of 3.0 is what systemd itself calls OK."""
PLACES = (os.environ.get("PATH", ""), "/usr/libexec/podman", "/usr/lib/podman")
QUADLET = shutil.which("quadlet", path=":".join(PLACES))
analyses = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


@pytest.fixture
def unit(tmp_path):
    """The unit, its program one that is there."""
    text = UNIT.read_text().replace("/opt/nightscope/bin/nightscope", "/bin/true")
    assert "/bin/true serve" in text
    file = tmp_path / UNIT.name
    file.write_text(text)
    return file


def analysed(*arguments):
    return subprocess.run(
        ["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, check=False
    )


@analyses
def test_systemd_finds_nothing_wrong_with_the_unit(unit):
    said = analysed("verify", unit)
    assert (said.returncode, said.stdout + said.stderr) == (0, "")
    unit.write_text(unit.read_text().replace("WatchdogSec", "WatchDogSec"))
    assert "WatchDogSec" in analysed("verify", unit).stderr  # it would have said so


@analyses
def test_the_unit_is_exposed_to_little(unit):
    limit = f"--threshold={MOST_EXPOSED}"
    assert analysed("security", "--offline=true", limit, unit).returncode == 0
    bare = unit.with_name("bare.service")
    bare.write_text("[Service]\nExecStart=/bin/true\n")
    assert analysed("security", "--offline=true", limit, bare).returncode != 0


@analyses
@pytest.mark.skipif(QUADLET is None, reason="podman's quadlet is not installed")
def test_podman_makes_a_unit_of_the_container_that_systemd_finds_nothing_wrong_with(tmp_path):
    def made(folder):
        done = subprocess.run(
            [QUADLET, "-dryrun", "-no-kmsg-log"],
            env={"QUADLET_UNIT_DIRS": str(folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout.partition("---nightscope.service---\n")[2]

    shutil.copy(UNITS / "nightscope.container", tmp_path)
    code, text = made(tmp_path)
    assert code == 0
    assert "ExecStart=/usr/bin/podman run --name systemd-%N" in text
    unit = tmp_path / UNIT.name
    unit.write_text(text.replace("/usr/bin/podman", "/bin/true"))
    said = analysed("verify", unit)
    assert (said.returncode, said.stdout + said.stderr) == (0, "")

    wrong = tmp_path / "wrong"
    wrong.mkdir()
    quadlet = (UNITS / "nightscope.container").read_text()
    (wrong / "nightscope.container").write_text(quadlet.replace("ReadOnly=", "ReadsOnly="))
    assert made(wrong)[0] != 0  # it would have said so


@pytest.mark.parametrize("name", ["socket", "@nightscope-test"])
def test_systemd_is_told_over_either_kind_of_socket(tmp_path, monkeypatch, name):
    address = name if name.startswith("@") else str(tmp_path / name)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("\0" + address[1:] if address.startswith("@") else address)
        monkeypatch.setenv(sd_notify.SOCKET, address)
        assert sd_notify.tell(READY=1, STATUS="scanning, 7 tiles")
        assert listening.recv(100) == b"READY=1\nSTATUS=scanning, 7 tiles"


def test_nobody_is_told_where_nobody_listens(tmp_path, monkeypatch):
    monkeypatch.delenv(sd_notify.SOCKET, raising=False)
    assert not sd_notify.tell(READY=1)
    monkeypatch.setenv(sd_notify.SOCKET, str(tmp_path / "gone"))
    assert not sd_notify.tell(READY=1)


def test_container_and_compose_file_show_the_same_places_and_devices():
    compose = yaml.safe_load((UNITS / "compose.yaml").read_text())["services"]["nightscope"]
    quadlet = (UNITS / "nightscope.container").read_text()
    for place in compose["volumes"]:
        assert f"Volume={place}\n" in quadlet
    for rule in compose["device_cgroup_rules"]:
        assert f"--device-cgroup-rule='{rule}'" in quadlet
    assert f"PublishPort={compose['ports'][0]}" in quadlet
    assert compose["read_only"] is True
    assert "ReadOnly=true" in quadlet
