"""A task without classes all the way to int8: its own metrics, decisions and tolerance judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.config.recipe import Recipe
from export.convert.graph import to_onnx
from export.convert.parts import VOTE, ModelParts
from export.quantise import quantise
from export.training.engine import TrainingJob, answers, train
from export.training.task import Arrays, Task
from runtime.errors import ModelRefused
from runtime.inference.backends import open_session
from runtime.inference.session import Outputs
from tests.export.toy_task import SpotNetwork, SpotTask

pytestmark = [pytest.mark.export, pytest.mark.timeout(600)]
OUTPUTS = ["place", "light"]
RECIPE = Recipe(
    epochs=10, batch=8, optimiser="adamw", schedule="one-cycle", learning_rate=1e-2, threads=1
)


@dataclass(frozen=True)
class Judge:
    """A task's judgement of the samples it was validated on."""

    task: Task
    targets: Arrays

    @property
    def tolerance(self) -> Mapping[str, float]:
        return self.task.tolerance

    def metrics(self, outputs: Outputs) -> dict[str, float]:
        return self.task.metrics(outputs, self.targets)

    def decide(self, outputs: Outputs) -> NDArray[Any]:
        return self.task.decide(outputs, self.targets)


class Heads(nn.Module):
    """From what was seen, and the gain, to place and light."""

    def __init__(self, network: SpotNetwork) -> None:
        super().__init__()
        self.place, self.light = network.place, network.light

    def forward(self, seen: Tensor, gain: Tensor) -> tuple[Tensor, Tensor]:
        both = torch.cat([seen, gain], dim=1)
        return self.place(both), self.light(both)


def in_parts(network: SpotNetwork, view: Arrays) -> ModelParts:
    picture, gain = (torch.from_numpy(view[name]) for name in ("picture", "gain"))
    with torch.no_grad():
        seen = network.look(picture)
    tail = to_onnx(Heads(network), {VOTE + "picture": seen, VOTE + "gain": gain}, OUTPUTS)
    streams = {
        "picture": to_onnx(network.look, {"picture": picture}, [VOTE + "picture"]),
        "gain": to_onnx(nn.ReLU(), {"gain": gain}, [VOTE + "gain"]),
    }
    return ModelParts(streams=streams, tail=tail)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainingJob, SpotNetwork]:
    what = TrainingJob(task=SpotTask(), recipe=RECIPE, seed=0, out=tmp_path_factory.mktemp("spots"))
    network = train(what)
    assert isinstance(network, SpotNetwork)
    return what, network


def views_of(what: TrainingJob) -> list[dict[str, NDArray[np.float32]]]:
    samples = what.task.validation
    shown = [samples.read(index, None).inputs for index in range(len(samples))]
    return [{name: one[None] for name, one in view.items()} for view in shown]


def test_int8_is_judged_by_what_the_task_calls_good(
    trained: tuple[TrainingJob, SpotNetwork],
) -> None:
    what, network = trained
    views, said = views_of(what), answers(what.task, network, what.task.validation, batch=8)
    judge, parts = Judge(what.task, said.targets), in_parts(network, views_of(what)[0])
    quantised = quantise(parts, views, views, judge)
    assert quantised.metrics["fp32"] == pytest.approx(judge.metrics(said.outputs), abs=1e-4)
    assert quantised.metrics["int8"]["explained"] > quantised.metrics["fp32"]["explained"] - 0.05
    assert quantised.decisions == len(views)
    assert quantised.agreeing
    found = open_session(quantised.int8, backend="onnxruntime", threads=1).run(views[0])
    assert set(found) == set(OUTPUTS)
    assert np.abs(found["place"] - said.outputs["place"][0]).max() < 0.1


def test_a_tolerance_that_int8_cannot_keep_refuses_it(
    trained: tuple[TrainingJob, SpotNetwork],
) -> None:
    what, network = trained

    class Strict(Judge):
        @property
        def tolerance(self) -> Mapping[str, float]:
            return {"explained": -0.5}

    views = views_of(what)
    said = answers(what.task, network, what.task.validation, batch=8)
    parts = in_parts(network, views[0])
    with pytest.raises(ModelRefused, match="too much explained"):
        quantise(parts, views, views, Strict(what.task, said.targets))
