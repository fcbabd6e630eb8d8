"""The layers below the tasks know no classes: a task made up here, with other tensors, passes them.

It takes two pictures, reads two outputs, and its answer is a sum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pytest

from runtime.clock import SystemClock
from runtime.errors import ModelRefused
from runtime.inference.backends import backends
from runtime.inference.bundle import Bundle, open_bundle
from runtime.inference.opening import Model, open_model
from runtime.inference.selftest import input_digests, verify
from runtime.inference.session import LAYOUTS
from runtime.inference.task import ModelInput, ReadArray, TaskRecord, Work
from runtime.offline.model_bench import bench
from runtime.preprocess.inputs import Inputs
from runtime.tasks.registry import RECORDS, TaskRow
from runtime.tasks.registry import TASKS as TASK_ROWS
from runtime.tile import Picture, Pixels
from tests.runtime.inference import tiny_onnx as tiny

if TYPE_CHECKING:
    Forge = Any


class PairInput(ModelInput):
    """Of two pictures, one is seen by one input and one by the other; nothing else is needed."""

    partner: str

    def files(self) -> tuple[str, ...]:
        return (self.partner,)

    def inputs(self, pictures: Sequence[Pixels], array: ReadArray) -> Inputs:
        assert array(self.partner).shape == (1,)
        first, second = (one[:4, :4].astype(np.float32) / 65535 for one in pictures)
        return {"intensity": first[None, None], "lbp1": np.repeat(second[None, None], 3, axis=1)}


class Pair(TaskRecord):
    """Its answer is about two pictures."""

    OUTPUTS: ClassVar[Mapping[str, float]] = {"scores": 0.5, "votes": 0.5}
    MEASURE: ClassVar[str] = "accuracy"
    PICTURES: ClassVar[int] = 2
    INPUT: ClassVar[type[ModelInput]] = PairInput

    kind: Literal["pair"] = "pair"


TASKS = {"pair": Pair}


@pytest.fixture
def paired(forge: Forge) -> Forge:
    """The shipped bundle turned into one for pairs, its network the tiny one."""
    first = np.arange(16, dtype=np.uint16).reshape(4, 4) * 4000
    pictures = [first, first.T // 2]
    shown = PairInput(partner="partner.npy")
    inputs = shown.inputs(pictures, lambda _: np.zeros(1))
    forge.files = {"card.md": forge.files["card.md"]}
    forge.files["tiny.onnx"] = tiny.three_streams()
    forge.manifest["files"] = {}
    for index, picture in enumerate(pictures):
        forge.replace_array(f"{index}.npy", picture)
    forge.replace_array("partner.npy", np.zeros(1))
    for name, array in tiny.expected(inputs).items():
        forge.replace_array(f"{name}.npy", array)
    for name in ("card.md", "tiny.onnx"):
        forge.relist(name)
    forge.manifest |= {
        "task": {"kind": "pair"},
        "input": {"partner": "partner.npy"},
        "networks": {"models": {"fp32": "tiny.onnx"}, "cuts": list(tiny.CUTS)},
        "golden": {
            "examples": [
                {
                    "pictures": ["0.npy", "1.npy"],
                    "inputs": input_digests(inputs),
                    "outputs": {"fp32": {"scores": "scores.npy", "votes": "votes.npy"}},
                }
            ],
            "tolerance": {"scores": 0.001, "votes": 0.001},
        },
    }
    return forge


def opened(forge: Forge) -> Bundle:
    return open_bundle(forge.write(), keys=forge.keys, tasks=TASKS)


def test_its_golden_examples_pass_tensor_by_tensor_in_every_layout(paired: Forge) -> None:
    rows = verify(opened(paired))
    assert {(row["backend"], row["layout"]) for row in rows} == {
        (backend, layout) for backend in backends() for layout in LAYOUTS
    }
    assert all(row["worst"].keys() == {"scores", "votes"} for row in rows)


def test_a_model_is_chosen_and_started_without_knowing_what_it_says(
    paired: Forge, tmp_path: Path
) -> None:
    model = open_model(paired.write(), keys=paired.keys, tasks=TASKS, threads=2, cache=tmp_path)
    found = model.session.run(model.bundle.inputs(0))
    assert tiny.close(found, tiny.expected(model.bundle.inputs(0)))


def test_it_is_timed_from_its_pictures_to_its_answer(
    paired: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered: list[float] = []

    def work(model: Model, _threads: int) -> Work[Inputs, None]:
        shown = model.bundle.input(PairInput)

        def prepare(seen: Sequence[Picture]) -> Inputs:
            pictures = [one.pixels for one in seen]
            return shown.inputs(pictures, model.bundle.array)

        def answer(inputs: Inputs) -> None:
            answered.append(float(model.session.run(inputs)["votes"].sum()))

        return Work(prepare=prepare, answer=answer)

    monkeypatch.setitem(TASK_ROWS, "pair", TaskRow(record=Pair, work=work))
    bundle = opened(paired)
    figures = bench(bundle, tiles=3, threads=2, clock=SystemClock())
    assert len(figures["rows"]) == len(backends()) * len(LAYOUTS)
    assert all(row["tiles_per_s"] > 0 for row in figures["rows"])
    # Three streams vote, and every vote sums to 1.
    assert answered == pytest.approx([3.0] * len(answered))
    assert len(answered) >= 2 * 3 * len(figures["rows"])


@pytest.mark.parametrize("tensor", ["scores", "votes"])
def test_one_tensor_that_is_off_is_refused_by_name(paired: Forge, tensor: str) -> None:
    right = tiny.expected(opened(paired).inputs(0))[tensor]
    paired.replace_array(f"{tensor}.npy", right + np.float32(0.002))
    with pytest.raises(ModelRefused, match=f"output '{tensor}' comes out differently") as caught:
        verify(opened(paired))
    assert "off by 0.0020; limit 0.0010" in str(caught.value)


def test_a_file_that_only_the_input_names_must_be_there(paired: Forge) -> None:
    paired.manifest["input"]["partner"] = "elsewhere.npy"
    with pytest.raises(ModelRefused, match=r"elsewhere\.npy is missing"):
        opened(paired)


@pytest.mark.parametrize("kind", TASK_ROWS)
def test_every_task_of_this_release_stands_under_its_own_name(kind: str) -> None:
    record = TASK_ROWS[kind].record
    assert record.model_fields["kind"].default == kind
    assert record.OUTPUTS
    assert record.MEASURE


def test_it_is_none_of_the_tasks_of_this_release(paired: Forge) -> None:
    limit = ", ".join(RECORDS)
    with pytest.raises(ModelRefused, match=rf"task 'pair' is not one .*; limit {limit}\. "):
        open_bundle(paired.write(), keys=paired.keys, tasks=RECORDS)
