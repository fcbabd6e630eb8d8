"""`nightscope model list` and `verify`, and the caches filled at install: whatever the task."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import pytest
from rich.console import Console

from runtime.cli.commands.classify import classify
from runtime.cli.commands.model import list_models, verify
from runtime.clock import SystemClock
from runtime.config.settings import SHIPPED_MODELS, ModelsSection
from runtime.errors import ConfigRefused, ModelRefused
from runtime.inference.backends import backends
from runtime.inference.bundle import Bundle, open_bundle
from runtime.offline.model_bench import bench
from runtime.offline.warm import warm_caches
from runtime.tasks.registry import RECORDS
from tests.runtime.inference import tiny_match as tiny
from tests.simulated import SIMULATED

if TYPE_CHECKING:
    Forge = Any


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=200)


def said(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.fixture
def matcher(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a bundle that matches, signed by a key of the keyring."""
    monkeypatch.setenv("NIGHTSCOPE_KEYS", str(forge.keys))
    path: Path = tiny.into_matcher(forge).write()
    return path.rename(path.with_name(f"{tiny.NAME}-1.0.0.nsb"))


@pytest.fixture
def shelf(matcher: Path) -> Path:
    """Return a folder with the shipped classifier and, beside it, the matcher."""
    shutil.copy(next(SHIPPED_MODELS.glob("mussel-tissue-*.nsb")), matcher.parent)
    for key in (SHIPPED_MODELS / "keys").iterdir():
        shutil.copy(key, matcher.parent / "keys")
    return matcher.parent


def test_a_list_says_task_answers_and_how_good_each_precision_is(console: Console) -> None:
    rows = list_models(folder=None, console=console)["models"]
    assert [(row["task"], row["answers"]) for row in rows] == [
        ("focus", "how far from focus, within ±40 µm"),
        ("classify", "resin, tissue"),
        ("match", "where the cells of a strip lie in another"),
    ]
    for words in ("mussel-tissue 1.7.0", "classify", "accuracy: fp32 0.9", "int8 0.9"):
        assert words in said(console)
    for words in ("strip-match 1.2.0", "match", "matched: fp32 0.824", "int8 0.823"):
        assert words in said(console)


@pytest.mark.parametrize("name", ["nowhere", "file"])
def test_a_list_of_what_is_no_folder_is_refused(
    tmp_path: Path, console: Console, name: str
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigRefused, match=f"{name} is not a folder"):
        list_models(folder=tmp_path / name, console=console)


def test_a_list_names_what_it_refuses_and_why(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTSCOPE_KEYS", str(tmp_path))
    shutil.copy(next(SHIPPED_MODELS.glob("*.nsb")), tmp_path)
    (row,) = list_models(folder=tmp_path, console=console)["models"]
    assert "not signed by a trusted key" in row["refused"]
    assert "refused:" in said(console)


def test_a_key_beside_a_bundle_is_no_reason_for_any_verb_to_trust_it(
    forge: Forge, console: Console
) -> None:
    path = forge.write()
    folder = path.parent
    assert (folder / "keys/forge.pub").is_file()
    (folder / "a.png").write_bytes(b"")
    distrusted = "not signed by a trusted key.*NIGHTSCOPE_KEYS"
    with pytest.raises(ModelRefused, match=distrusted):
        verify(bundle=str(path), console=console)
    with pytest.raises(ModelRefused, match=distrusted):
        classify(
            folder=folder,
            model=str(path),
            out=folder / "labels.csv",
            pixel_size_um=None,
            flip=False,
            console=console,
        )
    (row,) = list_models(folder=folder, console=console)["models"]
    assert "not signed by a trusted key" in row["refused"]


def test_classify_takes_models_and_keys_of_the_instruments_settings(
    forge: Forge, shipped: Bundle, choices: Path, tmp_path: Path, console: Console
) -> None:
    bundle = forge.write()
    settings = tmp_path / "settings.toml"
    models = f'[models]\nfolder = "{bundle.parent}"\ncache = "{choices}"\n'
    settings.write_text(SIMULATED + models + 'backend = "onnxruntime"\n')
    images = tmp_path / "images"
    images.mkdir()
    cv2.imwrite(str(images / "a.png"), shipped.pictures(0)[0])
    how: dict[str, Any] = {"folder": images, "model": str(bundle), "out": tmp_path / "labels.csv"}
    how |= {"pixel_size_um": None, "flip": False, "console": console}
    with pytest.raises(ModelRefused, match="not signed by a trusted key"):
        classify(**how)
    assert classify(**how, settings=settings)["labels"] == {"resin": 1, "tissue": 0}


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


def test_a_list_has_models_of_every_task_each_by_its_own_measure(
    shelf: Path, console: Console
) -> None:
    classifier, matcher = list_models(folder=shelf, console=console)["models"]
    assert (classifier["task"], matcher["task"]) == ("classify", "match")
    assert len(classifier["pixel_size_um"]) == 2
    # Any pixel size will do, and none is claimed.
    assert matcher["pixel_size_um"] is None
    (line,) = (line for line in said(console).splitlines() if tiny.NAME in line)
    cells = [cell.strip() for cell in line.strip("│┃ ").split("│")]
    assert cells == [
        f"{tiny.NAME} 1.0.0", "match", "where the cells of a strip lie in another", "any",
        "matched: fp32 0.750", "forge",
    ]  # fmt: skip


def test_a_matcher_is_verified_confidence_by_confidence(matcher: Path, console: Console) -> None:
    found = verify(bundle=str(matcher), console=console)
    assert {row["backend"] for row in found["golden"]} == set(backends())
    for row in found["golden"]:
        assert row["worst"].keys() == {"confidence", "back_confidence"}
        assert max(row["worst"].values()) < 1e-4
    assert "golden confidence off by" in said(console)
    assert "back_confidence off by" in said(console)


def test_a_matcher_is_timed_and_no_pixel_size_is_told_of_it(matcher: Path) -> None:
    bundle = open_bundle(matcher, keys=matcher.parent / "keys", tasks=RECORDS)
    figures = bench(bundle, tiles=2, threads=1, clock=SystemClock())
    assert figures["model"] == f"{tiny.NAME} 1.0.0"
    assert figures["tile_px"] == list(tiny.SHAPE_PX)
    assert len(figures["rows"]) == len(backends())
    assert sum(row["chosen"] for row in figures["rows"]) == 1
    assert all(row["p50_ms"] > 0 for row in figures["rows"])
    assert figures["preprocessing"]["p50_ms"] > 0
    assert "_um" not in json.dumps(figures)


def test_warming_serves_models_of_every_task_on_one_shelf(shelf: Path, tmp_path: Path) -> None:
    models = ModelsSection(folder=shelf, cache=tmp_path / "cache", backend="onnxruntime", threads=1)
    assert warm_caches(models) > 0
    assert len(list((tmp_path / "cache").glob("choice-*.json"))) == 2
