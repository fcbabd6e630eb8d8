"""A run begins whole: whatever a crash cuts short before that is no run, and can begin again."""

import errno
import json
import os
import stat
from pathlib import Path

import pytest

from runtime.errors import ConfigRefused, ModelRefused, StorageFailed
from runtime.record.journal import Journal
from runtime.record.run_folder import RunFolder, RunLock
from tests import night_fakes

PLAN, SETTINGS = "name: night\n", "[serial]\n"
STEPS = 60
"""More than sealing has: the test finds out how many there are."""


class PowerCut(Exception):
    """What ends a process between two of its steps."""


@pytest.fixture
def record(tmp_path):
    file = tmp_path / "dark@2026.json"
    file.write_text("{}")
    return file


@pytest.fixture
def bundle(tmp_path):
    file = tmp_path / "shelf" / "cells-1.0.0.nsb"
    file.parent.mkdir()
    file.write_bytes(b"a model")
    return file


def begin(folder, record, bundle):
    folder.create(
        plan_text=PLAN,
        settings_text=SETTINGS,
        records=[record],
        bundles={"classify": bundle},
        keys=[record],
    )


def begun(folder):
    journal = Journal(folder.journal)
    try:
        folder.refuse_changed(journal)
        return journal.fact("state"), folder.bundle(journal, "classify").read_bytes()
    finally:
        journal.close()


def cut_at(monkeypatch, nth):
    """Let every step that changes the disk pass but the `nth`."""
    left = [nth]
    for owner, name in ((Path, "replace"), (Path, "rename"), (Path, "mkdir"), (os, "fsync"),
                        (Path, "unlink"), (Journal, "note"), (Journal, "close")):  # fmt: skip
        whole = getattr(owner, name)

        def step(*values, whole=whole, **named):
            left[0] -= 1
            if left[0] < 0:
                raise PowerCut
            return whole(*values, **named)

        monkeypatch.setattr(owner, name, step)


def test_a_run_cut_short_at_any_step_while_it_begins_is_none_and_begins_again(
    tmp_path, monkeypatch, record, bundle
):
    whole = 0
    for nth in range(STEPS):
        folder = RunFolder(tmp_path / "nights" / f"run{nth}")
        with monkeypatch.context() as patch:
            cut_at(patch, nth)
            try:
                begin(folder, record, bundle)
            except PowerCut:
                pass
            else:
                whole += 1
        if folder.path.exists():
            with pytest.raises(ConfigRefused, match="already holds a run"):
                begin(folder, record, bundle)
        else:
            begin(folder, record, bundle)
        assert begun(folder) == ("created", b"a model")
        assert [file.name for file in folder.calibration.iterdir()] == [record.name]
        assert list(folder.path.glob(".*.part*")) == []
        assert not folder.path.with_name(f".run{nth}.part").exists()
    assert 0 < whole < STEPS - 20


def test_a_folder_with_a_run_is_left_as_it_is(tmp_path, record, bundle):
    folder = RunFolder(tmp_path / "run")
    begin(folder, record, bundle)
    with pytest.raises(ConfigRefused, match="already holds a run"):
        folder.create(plan_text="another", settings_text=SETTINGS)
    assert begun(folder)[0] == "created"


def test_a_folder_that_is_not_empty_is_refused_and_left_alone(tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("mine")
    with pytest.raises(ConfigRefused, match=r"is not empty, and holds no run.*--out"):
        RunFolder(tmp_path / "notes").create(plan_text=PLAN, settings_text=SETTINGS)
    assert [file.name for file in tmp_path.iterdir()] == ["notes"]


def test_an_empty_folder_gives_way(tmp_path, record, bundle):
    (tmp_path / "run").mkdir()
    begin(RunFolder(tmp_path / "run"), record, bundle)
    assert begun(RunFolder(tmp_path / "run"))[0] == "created"


def test_the_folder_one_stands_in_cannot_give_way(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigRefused, match="name a folder inside it"):
        RunFolder(Path()).create(plan_text=PLAN, settings_text=SETTINGS)


def test_two_that_begin_one_run_at_once_do_not_mix(tmp_path, record, bundle):
    aside = tmp_path / ".run.part"
    aside.mkdir()
    with RunLock(RunFolder(aside)), pytest.raises(ConfigRefused, match="another process"):
        begin(RunFolder(tmp_path / "run"), record, bundle)


def test_what_lies_on_the_shelf_later_is_not_the_runs(tmp_path, record, bundle):
    folder = RunFolder(tmp_path / "run")
    begin(folder, record, bundle)
    bundle.write_bytes(b"another")
    assert begun(folder)[1] == b"a model"


@pytest.mark.parametrize("spoil", [lambda file: file.write_bytes(b"other"), Path.unlink])
def test_a_model_that_is_not_the_one_it_began_with_is_refused(tmp_path, record, bundle, spoil):
    folder = RunFolder(tmp_path / "run")
    begin(folder, record, bundle)
    spoil(folder.models / "classify" / bundle.name)
    with pytest.raises(ModelRefused, match="not the one the run began with"):
        begun(folder)


def test_a_run_without_models_has_none(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.create(plan_text=PLAN, settings_text=SETTINGS)
    journal = Journal(folder.journal)
    assert folder.bundle(journal, "classify") is None
    assert json.dumps(journal.fact("bundles")) == "{}"
    journal.close()


def test_the_keys_of_a_run_are_its_own_whatever_the_environment_names(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path / "run")
    folder.create(plan_text=night_fakes.PLAN, settings_text=night_fakes.SETTINGS)
    monkeypatch.setenv("NIGHTSCOPE_KEYS", str(tmp_path / "others"))
    journal = Journal(folder.journal)
    _, settings = folder.configuration(journal)
    journal.close()
    assert settings.models.keyring == folder.models / "keys"
    assert settings.models.backend == "onnxruntime"
    assert settings.model_dump(mode="json")["models"]["folder"] == str(folder.models)


@pytest.mark.parametrize("error", [errno.EFBIG, errno.ENOSPC, errno.EIO])
def test_where_there_is_no_run_yet_nobody_is_told_to_resume_it(
    tmp_path, record, bundle, monkeypatch, error
):
    """A stick of FAT32, a full disk, a failing one: what is told can be done."""

    sync = os.fsync

    def fails(number):
        if stat.S_ISREG(os.fstat(number).st_mode):
            raise OSError(error, os.strerror(error))
        sync(number)

    folder = RunFolder(tmp_path / "night")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fails)
        with pytest.raises(StorageFailed, match="then begin the run again") as told:
            begin(folder, record, bundle)
    assert "resume" not in str(told.value)
    assert {path.name for path in tmp_path.iterdir()} == {record.name, bundle.parent.name}
    begin(folder, record, bundle)
    assert begun(folder)[0] == "created"
