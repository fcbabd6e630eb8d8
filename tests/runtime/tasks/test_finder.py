"""The network for unsure seams: verified when it is named, loaded when it is first asked."""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from runtime.config.settings import ModelsSection
from runtime.errors import ModelRefused
from runtime.tasks.match import choosing, finder
from runtime.tasks.match.finder import StripFinder, finder_of
from tests.runtime.inference import tiny_match as tiny

if TYPE_CHECKING:
    Forge = Any


@pytest.fixture
def models(forge: Forge, tmp_path: Path) -> ModelsSection:
    """A shelf with one bundle for matching."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    shutil.copy(tiny.into_matcher(forge).write(), shelf / f"{tiny.NAME}-1.0.0.nsb")
    shutil.copytree(forge.keys, shelf / "keys", ignore=lambda _, names: {"shelf"} & {*names})
    return ModelsSection(folder=shelf, cache=tmp_path / "cache", backend="onnxruntime")


def test_threads_ask_one_network_which_is_loaded_once(
    models: ModelsSection, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[Path] = []

    def counted(path: Path, **how: Any) -> Any:
        loaded.append(path)
        return opened(path, **how)

    opened = finder.open_model
    monkeypatch.setattr(finder, "open_model", counted)
    asked = StripFinder(models, tiny.NAME)
    assert asked.shape_px == tiny.SHAPE_PX
    assert not loaded
    world = tiny.specimen()
    pairs = [(tiny.cut(world), tiny.cut(world, down=2 + n % 2)) for n in range(6)]
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda pair: asked.find(*pair), pairs))
    assert len(loaded) == 1
    for n, (first_px, second_px) in enumerate(found):
        off = second_px - first_px - tiny.OFF_PX[::-1]
        assert len(off) >= tiny.COLUMNS
        assert np.allclose(off, (0, -8 * (n % 2)), atol=1e-5)


def test_what_runs_it_is_chosen_by_a_child_once_and_here_where_that_fails(
    models: ModelsSection, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[tuple[list[str], dict[str, Any]]] = []

    def died(command: list[str], **how: Any) -> None:
        begun.append((command, how))
        raise subprocess.TimeoutExpired(command, how["timeout"])

    monkeypatch.setattr(choosing.subprocess, "run", died)
    auto = models.model_copy(update={"backend": "auto"})
    strip = tiny.cut(tiny.specimen())
    first, again = (StripFinder(auto, tiny.NAME).find(strip, strip) for _ in range(2))
    assert len(first[0]) == len(again[0]) > 0
    ((command, how),) = begun
    assert command[1:3] == ["-m", choosing.MODULE]
    assert how["env"]["NIGHTSCOPE_KEYS"] == str(models.keyring)
    assert ModelsSection.model_validate_json(how["input"]).cache == models.cache


@pytest.mark.slow
def test_only_what_runs_it_is_ever_loaded_here(models: ModelsSection) -> None:
    """In a fresh process: nothing is measured in it, and one library of two is in memory."""
    pytest.importorskip("openvino")
    auto = models.model_copy(update={"backend": "auto"})
    code = f"""
import sys
from runtime.config.settings import ModelsSection
from runtime.inference import selection
from runtime.tasks.match.finder import StripFinder
from tests.runtime.inference import tiny_match as tiny
selection.measure = None
models = ModelsSection.model_validate_json({auto.model_dump_json()!r})
strip = tiny.cut(tiny.specimen())
assert len(StripFinder(models, tiny.NAME).find(strip, strip)[0])
print(*({{"onnxruntime", "openvino"}} & {{*sys.modules}}))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr.decode()
    assert len(ran.stdout.split()) == 1
    assert len(list(models.cache.glob("choice-*.json"))) == 1


def test_a_network_that_is_not_there_is_refused_by_name(models: ModelsSection) -> None:
    with pytest.raises(ModelRefused, match=r"no model bundle 'other'.*limit strip-match-1\.0\.0"):
        StripFinder(models, "other")


def test_a_model_for_another_task_is_refused_by_name() -> None:
    with pytest.raises(ModelRefused, match=r"task 'classify' is not one .*limit match"):
        StripFinder(ModelsSection(), "mussel-tissue")


def test_the_settings_say_which_network_is_asked(models: ModelsSection, tmp_path: Path) -> None:
    own = finder_of(models)
    assert own is not None
    assert own.name == f"{tiny.NAME}-1.0.0"
    assert finder_of(models.model_copy(update={"matcher": "none"})) is None
    assert finder_of(models, "none") is None
    with pytest.raises(ModelRefused, match="no model bundle 'other'"):
        finder_of(models.model_copy(update={"matcher": "other"}))
    bare = tmp_path / "bare"
    bare.mkdir()
    assert finder_of(models.model_copy(update={"folder": bare})) is None
