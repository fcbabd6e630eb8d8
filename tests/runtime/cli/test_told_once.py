"""A run that pauses says why on its last screen, and not once more in a line below."""

from pathlib import Path

import pytest
import typer

from runtime.cli.call import call
from runtime.cli.commands import scan
from runtime.errors import HardwareFailed
from runtime.record.journal import Journal
from runtime.record.run_folder import RunFolder
from tests.night_fakes import PLAN, SETTINGS

WHY = "the lamp is out"


@pytest.mark.parametrize("state", ["paused", "created"])
def test_the_reason_is_said_once(
    state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = RunFolder(tmp_path / "night")
    folder.create(plan_text=PLAN, settings_text=SETTINGS)

    def gives_up(folder: RunFolder, **_: object) -> None:
        journal = Journal(folder.journal)
        journal.note(state=state)
        journal.close()
        raise HardwareFailed(WHY)

    monkeypatch.setattr(scan, "carry_out", gives_up)
    with pytest.raises(typer.Exit) as left:
        call("runtime.cli.commands.scan:resume", False, run=folder.path, calibrate=None)
    out, err = capfd.readouterr()
    assert left.value.exit_code == 4
    assert (out + err).count(WHY) == 1
    assert ("Needs attention" in out) == (state == "paused")
