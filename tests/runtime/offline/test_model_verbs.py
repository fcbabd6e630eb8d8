"""`nightscope model list` and `verify`, and the caches filled at install: whatever the task."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from runtime.cli.commands.model import list_models, verify
from runtime.config.settings import SHIPPED_MODELS, ModelsSection
from runtime.offline.warm import warm_caches


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=200)


def said(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_list_says_task_answers_and_how_good_each_precision_is(console: Console) -> None:
    (row,) = list_models(folder=None, console=console)["models"]
    assert (row["task"], row["answers"]) == ("classify", "resin, tissue")
    for words in ("mussel-tissue 1.3.0", "classify", "accuracy: fp32 0.9", "int8 0.9"):
        assert words in said(console)


def test_a_list_names_what_it_refuses_and_why(tmp_path: Path, console: Console) -> None:
    (tmp_path / "keys").mkdir()
    shutil.copy(next(SHIPPED_MODELS.glob("*.nsb")), tmp_path)
    (row,) = list_models(folder=tmp_path, console=console)["models"]
    assert "not signed by a trusted key" in row["refused"]
    assert "refused:" in said(console)


@pytest.mark.slow  # test_sessions.py asks every back end for the golden outputs
def test_verify_names_every_output_and_how_far_it_is_off(console: Console) -> None:
    found = verify(bundle="mussel-tissue", console=console)
    assert all(row["worst"].keys() == {"scores"} for row in found["golden"])
    assert "onnxruntime int8 together: golden scores off by" in said(console)


def test_warming_measures_every_model_once_and_keeps_the_choice(tmp_path: Path) -> None:
    models = ModelsSection(cache=tmp_path, backend="onnxruntime", threads=1)
    assert warm_caches(models) > 0
    notes = list(tmp_path.glob("choice-*.json"))
    assert len(notes) == len(list(SHIPPED_MODELS.glob("*.nsb")))
