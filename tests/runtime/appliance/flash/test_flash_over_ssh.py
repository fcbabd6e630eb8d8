"""A bundle over real servers of ssh, to devices with state folders of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runtime.inference.store import read_state
from tests.runtime.appliance.flash.flashing import (
    Controller,
    Laboratory,
    laboratory,
    send,
    speaking,
)
from tests.runtime.appliance.models.devices import NAME

if TYPE_CHECKING:
    Forge = Any
Maker = Callable[..., bytes]
pytestmark = pytest.mark.slow


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Laboratory]:
    with laboratory(tmp_path / "sshd") as made:
        yield made


@pytest.fixture
def controller(lab: Laboratory, forge: Forge, tmp_path: Path) -> Controller:
    """Return a controller that can be called, and trusts who signs here."""
    one = Controller("scope", tmp_path / "second", forge.keys)
    lab.add(one)
    return one


@pytest.fixture
def news(maker: Maker, tmp_path: Path) -> Path:
    """Return a version that no release has shipped."""
    path = tmp_path / "news.nsb"
    path.write_bytes(maker("9.0.0"))
    return path


def active(controller: Controller) -> str | None:
    """Return the version that was installed on a controller and is active there."""
    kept = read_state(controller.store).model(NAME).kept
    return None if kept is None else kept.version


def test_over_a_real_sshd_to_a_second_state_directory(
    lab: Laboratory, controller: Controller, news: Path, maker: Maker, tmp_path: Path
) -> None:
    to = {"ssh": lab.ssh, "remote": lab.remote}
    told, seen = send(news, "scope", **to)
    assert told["exit_code"] == 0, seen
    assert "accepted: strip-match 9.0.0 is active (it was 1.2.0)" in seen
    assert active(controller) == "9.0.0"

    _, seen = send(news, "scope", **to)
    assert "is active there already" in seen

    newer = tmp_path / "newer.nsb"
    newer.write_bytes(maker("9.1.0"))
    told, seen = send(newer, "scope", **to)
    assert told["exit_code"] == 6
    assert "refused: bundle strip-match 9.1.0 cannot come while version 9.0.0 is on trial" in seen


def test_a_real_connection_that_is_cut_goes_on_where_it_was(
    lab: Laboratory,
    controller: Controller,
    news: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first ssh gets the begin of the bundle, and no more."""
    monkeypatch.setattr("runtime.appliance.flash.ssh.PAUSE_S", 0.0)
    cutting = speaking(
        tmp_path,
        f'if [ ! -e once ]; then touch once; head -c 6000 | {lab.ssh} "$@"; exit; fi\n'
        f'exec {lab.ssh} "$@"',
    )
    told, seen = send(news, "scope", ssh=cutting, remote=lab.remote)
    assert told["exit_code"] == 0, seen
    assert "accepted (called 2 times)" in seen
    assert not list((controller.store / "incoming").iterdir())


def test_a_device_that_does_not_know_the_engineer_is_not_reached(
    lab: Laboratory, controller: Controller, news: Path
) -> None:
    (lab.home / "authorized").write_text("")
    told, seen = send(news, "scope", ssh=lab.ssh, remote=lab.remote)
    assert told["exit_code"] == 4
    assert "Permission denied" in seen
    assert active(controller) is None


# A disk whose sectors went bad under the file that was written last.
ROTTING = """
from pathlib import Path
rename = Path.rename
def rotten(self, target):
    moved = rename(self, target)
    if "incoming" in self.parts:
        content = bytearray(moved.read_bytes())
        content[len(content) // 2] ^= 1
        moved.write_bytes(content)
    return moved
Path.rename = rotten
"""


def test_several_devices_in_one_call_each_say_what_they_made_of_it(
    lab: Laboratory, forge: Forge, news: Path, tmp_path: Path
) -> None:
    """One accepts, one trusts nobody here, one's disk rots, one is switched off."""
    stranger, rotting = tmp_path / "stranger", tmp_path / "rotting"
    for folder in (stranger, rotting):
        folder.mkdir()
    (rotting / "sitecustomize.py").write_text(ROTTING)
    good = Controller("good", tmp_path / "first", forge.keys)
    strict = Controller("strict", tmp_path / "second", stranger)
    worn = Controller("worn", tmp_path / "third", forge.keys, code=(rotting,))
    for one in (good, strict, worn):
        lab.add(one)

    told, seen = send(news, "good", "strict", "worn", "absent", ssh=lab.ssh, remote=lab.remote)

    outcomes = {row["host"]: (row["outcome"], row["code"]) for row in told["hosts"]}
    assert outcomes == {
        "good": ("accepted", 0),
        "strict": ("refused", 6),
        "worn": ("rolled back", 8),
        "absent": ("not reached", 4),
    }, seen
    assert told["exit_code"] == 8
    assert "good: accepted: strip-match 9.0.0 is active (it was 1.2.0)" in seen
    assert "worn: rolled back: model strip-match 9.0.0 was rolled back: the disk did not" in seen
    assert "1 of 4 devices accepted it" in seen
    assert [active(one) for one in (good, strict, worn)] == ["9.0.0", None, None]
    assert list(read_state(worn.store).model(NAME).rolled_back.values()) == [
        "the disk did not keep it as it was written"
    ]
