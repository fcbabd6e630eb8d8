"""The trainer on a task without classes: what it learns, keeps, reads ahead and goes on from."""

from __future__ import annotations

import csv
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import onnxruntime
import torch

from export.config.recipe import Recipe
from export.convert.graph import to_onnx
from export.progress import Progress
from export.training.checkpoint import FILE
from export.training.device import uses_bf16
from export.training.engine import TrainingJob, answers, train
from export.training.optimiser import make_average, weight_groups
from export.training.stream import (
    BATCHES_HELD,
    as_they_are,
    drawn,
    epoch_order,
    in_batches,
    read_batches,
)
from export.training.task import Sample
from runtime.errors import ConfigRefused
from tests.export.toy_task import SpotNetwork, Spots, SpotTask

pytestmark = pytest.mark.export
RECIPE = Recipe(
    epochs=3, batch=8, optimiser="adamw", schedule="one-cycle", learning_rate=1e-2, threads=1
)
EVERYTHING = RECIPE.model_copy(
    update={"ema": 0.9, "clip_norm": 0.5, "checkpoint_steps": 2, "epoch_steps": 5}
)


class Killed(Exception):
    """Stands for a power cut."""


def stop_before(step: int) -> Progress:
    def progress(task: str, done: int, total: int, note: str = "") -> None:
        if done == step:
            raise Killed

    return progress


def training(out: Path, recipe: Recipe = RECIPE, **changes: Any) -> TrainingJob:
    return TrainingJob(task=SpotTask(**changes), recipe=recipe, seed=0, out=out)


def kept(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(folder / FILE, weights_only=True)
    return found


def equal(first: Any, second: Any) -> bool:
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(equal(first[k], second[k]) for k in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(equal, first, second))
    return bool(first == second)


def test_it_learns_a_task_that_has_no_classes(tmp_path: Path) -> None:
    what = training(tmp_path, RECIPE.model_copy(update={"epochs": 12}))
    network = train(what)
    with (tmp_path / "curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "epoch", "train_loss", "validation_loss", "train_explained", "validation_explained",
    ]  # fmt: skip
    assert float(rows[-1]["validation_loss"]) < 0.3 * float(rows[0]["validation_loss"])
    said = answers(what.task, network, what.task.validation, batch=7)
    assert said.outputs["place"].shape == (24, 2)
    assert said.outputs["light"].shape == (24, 1)
    found = what.task.metrics(said.outputs, said.targets)["explained"]
    assert found == pytest.approx(float(rows[-1]["validation_explained"]), abs=1e-5)
    assert found > 0.7
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("step", [1, 3, 5, 7, 10, 14])
def test_wherever_it_is_cut_off_it_ends_as_if_it_had_never_stopped(
    tmp_path: Path, step: int
) -> None:
    train(training(tmp_path / "whole", EVERYTHING))
    with pytest.raises(Killed):
        train(training(tmp_path / "cut", EVERYTHING), stop_before(step))
    # Whatever else drew from torch's generator meanwhile.
    torch.rand(step)
    train(training(tmp_path / "cut", EVERYTHING))
    assert equal(kept(tmp_path / "whole"), kept(tmp_path / "cut"))
    curves = [(tmp_path / name / "curves.csv").read_bytes() for name in ("whole", "cut")]
    assert curves[0] == curves[1]


def test_a_training_goes_on_within_an_epoch(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train(training(tmp_path, EVERYTHING), stop_before(9))
    assert kept(tmp_path)["step"] == 8
    seen: list[int] = []
    train(training(tmp_path, EVERYTHING), lambda task, done, total, note="": seen.append(done))
    assert seen == list(range(9, 16))


def test_how_often_checkpoints_are_kept_decides_no_weight(tmp_path: Path) -> None:
    train(training(tmp_path, EVERYTHING))
    again = training(tmp_path, EVERYTHING.model_copy(update={"checkpoint_steps": None}))
    train(again, stop_before(0))


@pytest.mark.parametrize("changed", [{"ema": 0.5}, {"clip_norm": 1.0}, {"epoch_steps": 4}])
def test_what_decides_the_weights_makes_another_training(
    tmp_path: Path, changed: dict[str, Any]
) -> None:
    train(training(tmp_path, EVERYTHING))
    with pytest.raises(ConfigRefused, match="recipe differs"):
        train(training(tmp_path, EVERYTHING.model_copy(update=changed)))


def test_norms_and_biases_do_not_decay() -> None:
    network = SpotNetwork()
    decayed, plain = weight_groups(network, 0.5)
    names = {id(weight): name for name, weight in network.named_parameters()}
    assert {names[id(one)] for one in decayed["params"]} == {
        "look.0.weight", "place.weight", "light.weight",
    }  # fmt: skip
    assert {names[id(one)] for one in plain["params"]} == {
        "look.1.weight", "look.1.bias", "place.bias", "light.bias",
    }  # fmt: skip
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.5, 0.0)


def test_no_step_is_longer_than_the_clipped_gradient(tmp_path: Path) -> None:
    plain = Recipe(
        epochs=1, epoch_steps=1, batch=8, learning_rate=1.0, momentum=0.0, weight_decay=0.0,
        threads=1,
    )  # fmt: skip
    moved = {}
    for name, clip_norm in (("free", None), ("clipped", 0.01)):
        torch.manual_seed(0)
        before = torch.cat([one.flatten() for one in SpotNetwork().parameters()])
        recipe = plain.model_copy(update={"clip_norm": clip_norm})
        network = train(training(tmp_path / name, recipe))
        after = torch.cat([one.flatten() for one in network.parameters()])
        moved[name] = float((after - before).detach().norm())
    assert moved["free"] > 0.1
    assert moved["clipped"] == pytest.approx(0.01, rel=1e-3)


def test_the_average_follows_slowly_and_counts_as_the_network_does() -> None:
    network = SpotNetwork()
    average = make_average(network, 0.5)
    assert average is not None
    wanted = None
    for step in range(4):
        with torch.no_grad():
            network.place.bias.fill_(float(step))
        network.look[1].num_batches_tracked.fill_(step)
        average.update_parameters(network)
        kept_share = min(0.5, (1 + step) / (10 + step))
        wanted = step if wanted is None else wanted * kept_share + step * (1 - kept_share)
    assert average.module.place.bias[0].item() == pytest.approx(wanted)
    assert int(average.module.look[1].num_batches_tracked) == 3


def test_the_average_is_what_is_judged_and_returned(tmp_path: Path) -> None:
    network = train(training(tmp_path, EVERYTHING))
    found = kept(tmp_path)
    averaged = {k.removeprefix("module."): v for k, v in found["average"].items()}
    assert all(torch.equal(v, averaged[k]) for k, v in network.state_dict().items())
    assert not torch.equal(found["network"]["place.bias"], averaged["place.bias"])


@pytest.mark.parametrize(
    ("precision", "wanted"), [("auto", False), ("fp32", False), ("bf16", True)]
)
def test_a_processor_computes_in_bf16_only_when_asked(
    tmp_path: Path, precision: str, wanted: bool
) -> None:
    recipe = RECIPE.model_copy(update={"precision": precision, "epochs": 1})
    assert uses_bf16(recipe, torch.device("cpu")) is wanted
    what = training(tmp_path, recipe)
    monitored: list[bool] = what.task.autocast  # type: ignore[attr-defined]
    network = train(what)
    # Six steps in the arithmetic asked for, three batches judged in fp32.
    assert monitored == [wanted] * 6 + [False] * 3
    assert {one.dtype for one in network.parameters()} == {torch.float32}


class Counting(Spots):
    """Counts how many samples are read and not yet handed over."""

    def __init__(self, count: int) -> None:
        super().__init__(count=count)
        self.__dict__.update(lock=threading.Lock(), read_so_far=0, handed_over=0, peak=0)

    def read(self, index: int, rng: np.random.Generator | None) -> Sample:
        with self.lock:
            self.__dict__["read_so_far"] += 1
            self.__dict__["peak"] = max(self.peak, self.read_so_far - self.handed_over)
        return super().read(index, rng)


def test_never_more_than_two_batches_are_read_ahead() -> None:
    samples = Counting(200)
    groups = in_batches(np.arange(200), batch=8)
    for shown in read_batches(samples, groups, as_they_are):
        samples.__dict__["handed_over"] += len(shown.inputs["gain"])
    assert samples.read_so_far == 200
    assert 8 <= samples.peak <= BATCHES_HELD * 8 + 8


def test_leaving_early_stops_the_reading() -> None:
    samples = Counting(200)
    batches = read_batches(samples, in_batches(np.arange(200), batch=8), as_they_are)
    next(batches)
    batches.close()
    assert samples.read_so_far <= BATCHES_HELD * 8


def test_a_sample_that_cannot_be_read_ends_the_training_with_its_error(tmp_path: Path) -> None:
    class Broken(Spots):
        def read(self, index: int, rng: np.random.Generator | None) -> Sample:
            if index == 17:
                raise ConfigRefused("file 17 is gone")
            return super().read(index, rng)

    with pytest.raises(ConfigRefused, match="file 17 is gone"):
        train(training(tmp_path, train=Broken()))


def test_a_sample_looks_the_same_whoever_reads_it_and_different_in_another_epoch() -> None:
    samples, order = Spots(), epoch_order(48, batch=8, seed=3, epoch=1)
    first = list(read_batches(samples, order, drawn(3, 1)))
    last = list(read_batches(samples, order[4:], drawn(3, 1)))
    assert np.array_equal(first[4].inputs["picture"], last[0].inputs["picture"])
    other = list(read_batches(samples, order, drawn(3, 2)))
    assert not np.array_equal(first[0].inputs["picture"], other[0].inputs["picture"])
    assert not np.array_equal(order[0], epoch_order(48, batch=8, seed=3, epoch=2)[0])


def test_every_sample_is_shown_once_an_epoch_and_no_batch_has_one() -> None:
    order = epoch_order(48, batch=47, seed=0, epoch=0)
    assert [len(group) for group in order] == [24, 24]
    assert sorted(np.concatenate(order).tolist()) == list(range(48))
    assert len(epoch_order(48, batch=8, seed=0, epoch=0, steps=2)) == 2


def test_its_network_is_exported_with_both_inputs_and_outputs_by_name(tmp_path: Path) -> None:
    what = training(tmp_path, RECIPE.model_copy(update={"epochs": 1}))
    network, sample = train(what), what.task.validation.read(0, None)
    inputs = {name: torch.from_numpy(one[None]) for name, one in sample.inputs.items()}
    model = to_onnx(network, inputs, ["place", "light"])
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_inputs()] == ["picture", "gain"]
    said = session.run(["place", "light"], {k: v.numpy() for k, v in inputs.items()})
    with torch.no_grad():
        wanted = network(*inputs.values())
    for found, exact in zip(said, wanted, strict=True):
        assert np.abs(found - exact.numpy()).max() < 1e-5
    assert str(Path.cwd()).encode() not in model
