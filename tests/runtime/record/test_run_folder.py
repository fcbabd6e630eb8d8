"""A run begins whole: whatever a crash cuts short before that is no run, and can begin again."""

from pathlib import Path

import pytest

from runtime.errors import ConfigRefused
from runtime.record.journal import Journal
from runtime.record.run_folder import RunFolder

PLAN, SETTINGS = "name: night\n", "[serial]\n"


class PowerCut(Exception):
    """What ends a process between two of its steps."""


@pytest.fixture
def record(tmp_path):
    file = tmp_path / "dark@2026.json"
    file.write_text("{}")
    return file


def begin(folder, record):
    folder.create(plan_text=PLAN, settings_text=SETTINGS, records=[record])


def begun(folder):
    journal = Journal(folder.journal)
    try:
        folder.refuse_changed(journal)
        return journal.fact("state")
    finally:
        journal.close()


@pytest.mark.parametrize(
    ("kind", "step", "nth"),
    [
        *((Path, "replace", nth) for nth in range(4)),
        (Journal, "_make_or_recognise", 0),
        (Journal, "note", 0),
        (Journal, "close", 0),
    ],
)
def test_a_run_cut_short_while_it_begins_is_none_and_begins_again(
    tmp_path, monkeypatch, record, kind, step, nth
):
    folder, left, whole = RunFolder(tmp_path / "run"), [nth], getattr(kind, step)

    def step_or_cut(*values, **named):
        if not left[0]:
            raise PowerCut
        left[0] -= 1
        return whole(*values, **named)

    with monkeypatch.context() as patch, pytest.raises(PowerCut):
        patch.setattr(kind, step, step_or_cut)
        begin(folder, record)
    assert not folder.journal.exists()
    begin(folder, record)
    assert begun(folder) == "created"
    assert [file.name for file in folder.calibration.iterdir()] == [record.name]
    assert list(folder.path.glob(".*.part*")) == []


def test_a_folder_with_a_run_is_left_as_it_is(tmp_path, record):
    folder = RunFolder(tmp_path / "run")
    begin(folder, record)
    with pytest.raises(ConfigRefused, match="already holds a run"):
        folder.create(plan_text="another", settings_text=SETTINGS)
    assert begun(folder) == "created"
