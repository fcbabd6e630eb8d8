"""Training one network: it learns, resumes exactly, and never continues another training."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from export.config.recipe import ClassifyRecipe
from export.datasets.labelled import LabelledImages
from export.datasets.prepared import PreparedViews, prepare
from export.datasets.reading import PreparedSplit
from export.datasets.views import choose_field
from export.networks.base import TileNetwork
from export.progress import Progress, silent
from export.tasks.classify.task import ClassTask, class_weights
from export.training import engine
from export.training.checkpoint import FILE
from export.training.engine import TrainingJob, answers, require_trainable
from runtime.errors import ConfigRefused
from runtime.preprocess.spec import PreprocessSpec

pytestmark = pytest.mark.export
LUT = np.random.default_rng(7).normal(size=(256, 3)).astype(np.float32)
SPEC = PreprocessSpec(height_px=32, width_px=32, inputs=("intensity", "lbp1"))
RECIPE = ClassifyRecipe(
    epochs=4,
    batch=8,
    optimiser="adamw",
    schedule="one-cycle",
    learning_rate=5e-3,
    variants="one",
    threads=1,
)


class Killed(Exception):
    """Stands for a power cut."""


def made(seed: int, count: int = 24) -> PreparedViews:
    """Stripes against noise."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 120, (count, 40, 40), dtype=np.uint8)
    pixels[1::2, ::4] += 120
    images = LabelledImages(
        source="made",
        classes=("noise", "stripes"),
        load=lambda index: pixels[index],
        target=np.arange(count) % 2,
        specimen=np.array([f"s{i // 4}" for i in range(count)]),
        pixel_size_um=np.ones(count),
        names=np.array([f"image {i}" for i in range(count)]),
        shape_px=np.tile([40, 40], (count, 1)),
    )
    return prepare(images, SPEC, LUT, choose_field(images))


@pytest.fixture(scope="module")
def data() -> tuple[PreparedViews, PreparedViews]:
    return made(0), made(1)


def training(data: tuple[PreparedViews, PreparedViews], out: Path, **changes: Any) -> TrainingJob:
    usual = {"architecture": "compact", "input_name": "lbp1", "recipe": RECIPE}
    seed = changes.pop("seed", 0)
    parts = PreparedSplit(train=data[0], validation=data[1], test=data[1])
    task = ClassTask(data=parts, **{**usual, **changes})
    return TrainingJob(task=task, recipe=task.recipe, seed=seed, out=out)


def train(
    data: tuple[PreparedViews, PreparedViews],
    out: Path,
    *,
    progress: Progress = silent,
    **changes: Any,
) -> TileNetwork:
    return cast("TileNetwork", engine.train(training(data, out, **changes), progress))


def stop_after(steps: int) -> Progress:
    def progress(task: str, done: int, total: int, note: str = "") -> None:
        if done > steps:
            raise Killed

    return progress


def same(first: TileNetwork, second: TileNetwork) -> bool:
    a, b = first.state_dict(), second.state_dict()
    return all(torch.equal(a[key], b[key]) for key in a)


def test_it_learns_and_leaves_curves_behind(
    data: tuple[PreparedViews, PreparedViews], tmp_path: Path
) -> None:
    what = training(data, tmp_path, recipe=RECIPE.model_copy(update={"epochs": 10}))
    network = cast("TileNetwork", engine.train(what))
    said = answers(what.task, network, what.task.validation, batch=8)
    right = said.outputs["scores"].argmax(axis=1) == data[1].target
    assert right.mean() > 0.9
    with (tmp_path / "curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["epoch"]) for row in rows] == list(range(1, 11))
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])
    assert float(rows[-1]["validation_accuracy"]) == pytest.approx(right.mean())
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "recipe",
    [RECIPE, ClassifyRecipe(epochs=4, batch=8, threads=1)],
    ids=["one-cycle", "the paper's"],
)
def test_a_resumed_training_ends_like_one_that_never_stopped(
    data: tuple[PreparedViews, PreparedViews], tmp_path: Path, recipe: ClassifyRecipe
) -> None:
    whole = train(data, tmp_path / "whole", recipe=recipe)
    steps = 3 if recipe.variants == "one" else 24
    with pytest.raises(Killed):
        train(data, tmp_path / "cut", recipe=recipe, progress=stop_after(2 * steps + 1))
    assert torch.load(tmp_path / "cut" / FILE, weights_only=True)["step"] == 2 * steps
    resumed = train(data, tmp_path / "cut", recipe=recipe)
    assert same(whole, resumed)
    curves = [(tmp_path / name / "curves.csv").read_text() for name in ("whole", "cut")]
    assert curves[0] == curves[1]


def test_a_finished_training_is_loaded_at_once(
    data: tuple[PreparedViews, PreparedViews], tmp_path: Path
) -> None:
    first = train(data, tmp_path)
    again = train(data, tmp_path, progress=stop_after(0))
    assert same(first, again)
    assert not again.training


def test_the_seed_decides_the_weights(
    data: tuple[PreparedViews, PreparedViews], tmp_path: Path
) -> None:
    short = RECIPE.model_copy(update={"epochs": 1})
    first, alike, other = (
        train(data, tmp_path / name, recipe=short, seed=seed)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert same(first, alike)
    assert not same(first, other)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"architecture": "resnet50"}, "architecture"),
        ({"input_name": "intensity"}, "input"),
        ({"seed": 1}, "seed"),
        ({"recipe": RECIPE.model_copy(update={"learning_rate": 1e-3})}, "recipe"),
    ],
)
def test_the_checkpoint_of_another_training_is_refused(
    data: tuple[PreparedViews, PreparedViews], tmp_path: Path, changes: dict[str, object], key: str
) -> None:
    short = RECIPE.model_copy(update={"epochs": 1})
    train(data, tmp_path, recipe=short)
    with pytest.raises(ConfigRefused, match=f"another training: {key} differs") as caught:
        require_trainable(training(data, tmp_path, **{"recipe": short, **changes}))
    assert str(tmp_path / FILE) in str(caught.value)
    with pytest.raises(ConfigRefused, match=f"another training: {key} differs"):
        train(data, tmp_path, **{"recipe": short, **changes})


def test_a_checkpoint_from_before_the_network_changed_is_refused(
    data: tuple[PreparedViews, PreparedViews], tmp_path: Path
) -> None:
    short = RECIPE.model_copy(update={"epochs": 1})
    train(data, tmp_path, recipe=short)
    kept = torch.load(tmp_path / FILE, weights_only=True)
    name, weight = next(iter(kept["network"].items()))
    kept["network"][name] = torch.cat([weight, weight])
    torch.save(kept, tmp_path / FILE)
    with pytest.raises(ConfigRefused, match="does not fit compact lbp1 as it is now"):
        train(data, tmp_path, recipe=short)


def test_other_data_is_another_training(
    data: tuple[PreparedViews, PreparedViews], tmp_path: Path
) -> None:
    short = RECIPE.model_copy(update={"epochs": 1})
    train(data, tmp_path, recipe=short)
    with pytest.raises(ConfigRefused, match="data differs"):
        train((made(5), data[1]), tmp_path, recipe=short)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04"])
def test_a_damaged_checkpoint_is_named(
    data: tuple[PreparedViews, PreparedViews], tmp_path: Path, content: bytes
) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(ConfigRefused, match=r"checkpoint\.pt cannot be read"):
        train(data, tmp_path)


def test_rare_classes_weigh_more(data: tuple[PreparedViews, PreparedViews]) -> None:
    train_set = data[0]
    few = train_set.images.target.copy()
    few[:18] = 0
    uneven = replace(train_set, images=replace(train_set.images, target=few))
    weights = class_weights(uneven.target, RECIPE, classes=2)
    counts = torch.bincount(torch.from_numpy(uneven.target))
    assert torch.allclose(weights * counts, torch.full((2,), len(few) / 2))
    flat = class_weights(
        uneven.target, RECIPE.model_copy(update={"class_weights": False}), classes=2
    )
    assert flat.tolist() == [1, 1]
