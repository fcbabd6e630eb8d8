"""A matcher all the way, from textures made up: trained, written, packed, opened, matching.

It learns so little that it is sure of no match: the gate of int8 has nothing to hold against
it, whatever the processor; `test_match_gate.py` is about the gate.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import cast

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from export.bundle.artefacts import Artefacts
from export.bundle.pack import pack
from export.networks.loftr.matching import choices
from export.networks.loftr.network import Loftr
from export.tasks.match.config import MatchConfig, read_match_config
from export.tasks.match.data import read_pairs
from export.tasks.match.task import MatchTask
from export.tasks.registry import Order, make
from export.training.checkpoint import FILE
from export.training.engine import TrainingJob, require_trainable, train
from runtime.appliance.models.keys import new_key
from runtime.config.settings import ModelsSection
from runtime.errors import ConfigRefused
from runtime.inference.backends import backends
from runtime.inference.bundle import Bundle, open_bundle
from runtime.inference.opening import open_model
from runtime.inference.selftest import verify
from runtime.inference.session import Choice
from runtime.tasks.match.matcher import StripMatcher, matches
from runtime.tasks.match.record import STRIPS, Matching, StripInput
from runtime.tasks.registry import RECORDS
from tests.export import tiny_matcher

pytestmark = [pytest.mark.export, pytest.mark.slow, pytest.mark.timeout(600)]
SEED = 0
CONFIG = f"""{tiny_matcher.CONFIG}[data]
pairs = 64
validation_pairs = 16
[recipe]
epochs = 2
batch = 8
optimiser = "adamw"
schedule = "one-cycle"
learning_rate = 1e-4
threads = 1
"""


class Made:
    """A tiny matcher in torch, and the folder and the bundle made of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.config_file = folder, folder / "tiny.toml"
        self.config_file.write_text(CONFIG)
        self.config = read_match_config(self.config_file)
        self.artefacts = make(
            Order(config=self.config_file, data=None, seed=SEED, out=folder / "run")
        )
        self.artefacts.write(folder / "run")
        new_key(folder / "made.key", passphrase="", models=ModelsSection())
        self.path = folder / "tiny-match-0.1.0.nsb"
        pack(Artefacts.read(folder / "run"), key=folder / "made.key", out=self.path)
        # Finished, so that it is only loaded.
        self.network = cast("Loftr", train(self.job()))

    def job(self, config: MatchConfig | None = None) -> TrainingJob:
        config = config or self.config
        data = read_pairs(config, None, seed=SEED)
        task = MatchTask(
            config=config, train=data.train, validation=data.validation, data=data.digest
        )
        out = self.folder / "run" / task.label
        return TrainingJob(task=task, recipe=config.recipe, seed=SEED, out=out)

    @property
    def bundle(self) -> Bundle:
        return open_bundle(self.path, keys=self.folder, tasks=RECORDS)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("match"))


def test_it_leaves_curves_of_what_a_matcher_is_judged_by(made: Made) -> None:
    with (made.folder / "run" / "loftr" / "curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["epoch"]) for row in rows] == [1, 2]
    assert {"validation_matched", "validation_precision", "validation_within_1px"} <= rows[0].keys()


@pytest.mark.parametrize("backend", backends())
def test_the_device_matches_what_torch_matches(made: Made, backend: str) -> None:
    model = open_model(
        made.path,
        keys=made.folder,
        tasks=RECORDS,
        choice=Choice(backend=backend, precision="fp32"),  # type: ignore[arg-type]
    )
    matcher = StripMatcher(model)
    told = 0
    for index in range(3):
        first, second = model.bundle.pictures(index)
        inputs = matcher.prepare([first, second])
        a, b = (torch.from_numpy(one)[None] for one in inputs[STRIPS])
        with torch.no_grad():
            seen = made.network.see(a, b)
            found = choices(seen.log_confidence)
            wanted = {
                "partner": found.partner.numpy(),
                "confidence": found.confidence.numpy(),
                "back_partner": found.back_partner.numpy(),
                "back_confidence": found.back_confidence.numpy(),
                "offset_px": made.network.offset_px(seen, found.partner).numpy(),
            }
        said = model.session.run(inputs)
        assert said.keys() == wanted.keys()
        # No table of cells against cells leaves the network.
        assert max(array.size for array in said.values()) == 2 * 4 * 12
        for name, exact in wanted.items():
            assert said[name].shape == exact.shape
            assert np.abs(said[name] - exact).max() < 2e-4, name
        on_device, in_torch = (matches(one, columns=12, least=1e-6) for one in (said, wanted))
        assert np.array_equal(on_device.first_px, in_torch.first_px)
        assert np.allclose(on_device.second_px, in_torch.second_px, atol=1e-3)
        told += len(on_device.first_px)
        surest = matcher.match(first, second)
        assert len(surest.first_px) <= len(on_device.first_px)
    assert told > 10


def test_the_bundle_verifies_and_says_what_it_takes(made: Made) -> None:
    bundle = made.bundle
    rows = verify(bundle)
    assert {(row["backend"], row["precision"]) for row in rows} == {
        (backend, precision) for backend in backends() for precision in ("int8", "fp32")
    }
    assert bundle.input(StripInput).shape_px == (32, 96)
    assert bundle.task(Matching).least_confidence == pytest.approx(0.02)
    assert len(bundle.manifest.golden.examples) == 3
    assert bundle.manifest.origin.quantisation is not None
    metrics = bundle.manifest.origin.metrics
    assert metrics.keys() == {"fp32", "int8"}
    assert metrics["fp32"]["matched"] == metrics["fp32"]["precision"] == 0
    assert metrics["int8"]["tiles"] == 128
    assert metrics["int8"]["agreement"] == 1


def test_the_card_says_what_it_was_trained_on_and_no_more(made: Made) -> None:
    card = made.bundle.files[made.bundle.manifest.origin.card].decode()
    assert card.startswith("# tiny-match 0.1.0\n")
    assert "| data | 100% made-up textures |" in card
    assert "| split, by specimen | validation: made-up textures of another seed |" in card
    assert "| int8 | all layers that have weights; how alike cells are is told in fp32 |" in card
    assert "Int8 judges 100.0% of the validation images as fp32 does." in card
    assert "Two strips of 96 × 32 px" in card
    assert "None" not in card


def test_a_finished_training_is_not_one_of_other_data(made: Made) -> None:
    require_trainable(made.job())
    for changes, key in (
        ({"data": made.config.data.model_copy(update={"pairs": 72})}, "data"),
        ({"trained": made.config.packed}, "trained"),
        ({"network": made.config.network.model_copy(update={"heads": 4})}, "network"),
    ):
        with pytest.raises(ConfigRefused, match=f"another training: {key} differs") as caught:
            require_trainable(made.job(made.config.model_copy(update=changes)))
        assert str(made.folder / "run" / "loftr" / FILE) in str(caught.value)


def test_other_images_under_the_same_names_are_another_training(made: Made) -> None:
    job = made.job()
    task = cast("MatchTask", job.task)
    other = MatchTask(
        config=task.config, train=task.train, validation=task.validation, data="0" * 64
    )
    with pytest.raises(ConfigRefused, match="another training: images differs"):
        require_trainable(TrainingJob(task=other, recipe=job.recipe, seed=job.seed, out=job.out))


def test_the_packed_size_is_no_part_of_the_training(made: Made) -> None:
    wider = made.config.packed.model_copy(update={"width_px": 128})
    require_trainable(made.job(made.config.model_copy(update={"packed": wider})))
