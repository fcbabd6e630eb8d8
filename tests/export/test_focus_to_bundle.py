"""A network for defocus all the way: trained, written, packed, opened, telling defocus.

It has seen 300 crops of made-up textures, of which it learns little; what is tested is the way.
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
from export.datasets.defocus.frames import known_frames
from export.networks.defocus.network import DefocusNetwork
from export.tasks.focus.config import FocusConfig, read_focus_config
from export.tasks.focus.data import read_fields
from export.tasks.focus.task import FocusTask
from export.tasks.registry import Order, make
from export.training.engine import TrainingJob, require_trainable, train
from runtime.appliance.models.keys import new_key
from runtime.config.settings import ModelsSection
from runtime.errors import ConfigRefused
from runtime.inference.backends import backends
from runtime.inference.bundle import Bundle, open_bundle
from runtime.inference.opening import open_model
from runtime.inference.selftest import verify
from runtime.inference.session import Choice
from runtime.tasks.focus.record import DEFOCUS, SPREAD, Defocusing, DefocusInput
from runtime.tasks.focus.regressor import DefocusRegressor
from runtime.tasks.registry import RECORDS
from tests.export import tiny_focus

pytestmark = [pytest.mark.export, pytest.mark.slow, pytest.mark.timeout(600)]


class Made:
    """A tiny regressor in torch, and the folder and the bundle made of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.config_file = folder, folder / "tiny.toml"
        self.config_file.write_text(tiny_focus.CONFIG)
        self.config = read_focus_config(self.config_file)
        order = Order(config=self.config_file, data=None, seed=0, out=folder / "run")
        make(order).write(folder / "run")
        new_key(folder / "made.key", passphrase="", models=ModelsSection())
        self.path = folder / "tiny-focus-0.1.0.nsb"
        pack(Artefacts.read(folder / "run"), key=folder / "made.key", out=self.path)
        # Finished, so that it is only loaded.
        self.network = cast("DefocusNetwork", train(self.job()))

    def job(self, config: FocusConfig | None = None) -> TrainingJob:
        config = config or self.config
        data = read_fields(config, None, seed=0)
        task = FocusTask(
            config=config, train=data.train, validation=data.validation, data=data.digest
        )
        out = self.folder / "run" / task.label
        return TrainingJob(task=task, recipe=config.recipe, seed=0, out=out)

    @property
    def bundle(self) -> Bundle:
        return open_bundle(self.path, keys=self.folder, tasks=RECORDS)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("focus"))


def test_it_leaves_curves_of_what_it_is_judged_by(made: Made) -> None:
    with (made.folder / "run" / "image+spectrum" / "curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["epoch"]) for row in rows] == [1, 2]
    assert {"validation_gained_um", "validation_right_side"} <= rows[0].keys()
    assert float(rows[1]["train_loss"]) < float(rows[0]["train_loss"])


@pytest.mark.parametrize("backend", backends())
def test_the_device_says_what_torch_says(made: Made, backend: str) -> None:
    model = open_model(
        made.path,
        keys=made.folder,
        tasks=RECORDS,
        choice=Choice(backend=backend, precision="fp32"),  # type: ignore[arg-type]
    )
    for index in range(3):
        inputs = model.bundle.inputs(index)
        with torch.no_grad():
            wanted = made.network(*(torch.from_numpy(one) for one in inputs.values()))
        said = model.session.run(inputs)
        for name, exact in zip((DEFOCUS, SPREAD), wanted, strict=True):
            assert said[name].shape == (1, 1)
            assert np.abs(said[name] - exact.numpy()).max() < 2e-3


def test_the_bundle_verifies_and_says_what_it_takes(made: Made) -> None:
    bundle = made.bundle
    rows = verify(bundle)
    assert {(row["backend"], row["precision"]) for row in rows} == {
        (backend, precision) for backend in backends() for precision in ("int8", "fp32")
    }
    record, takes = bundle.task(Defocusing), bundle.input(DefocusInput)
    assert (record.range_um, record.na, record.sine) == (12, (0.296, 0.304), (0.195, 0.205))
    assert record.sigma_scale >= 0.1
    assert (takes.side_px, takes.parts) == (64, ("image", "spectrum"))
    assert takes.pixel_size_um == (0.485, 0.503)
    metrics = bundle.manifest.origin.metrics
    assert metrics["int8"]["mae_um"] == pytest.approx(metrics["fp32"]["mae_um"], abs=0.3)
    assert metrics["int8"]["tiles"] == 48


def test_whole_frames_are_told_with_a_sigma(made: Made) -> None:
    regressor = DefocusRegressor(open_model(made.path, keys=made.folder, tasks=RECORDS))
    scenery = read_fields(made.config, None, seed=0).validation.scenery
    found = [
        regressor.measure(one.pixels)
        for one in known_frames(scenery, 1, seed=0, shape=(128, 128))
        if not one.sparse
    ]
    assert all(one.sigma_um > 0.5 for one in found)


def test_the_card_says_what_it_was_trained_on_and_no_more(made: Made) -> None:
    card = made.bundle.files[made.bundle.manifest.origin.card].decode()
    assert card.startswith("# tiny-focus 0.1.0\n")
    assert "| data | waves through 100% made-up textures |" in card
    assert "- Crops of 64 × 64 px, of 8 to 16 bits, corrected; as image and spectrum." in card
    assert "- sine of the LED's angle: 0.195 to 0.205\n" in card
    assert "within ±12 µm" in card
    assert "None" not in card


def test_a_finished_training_is_not_one_of_other_data(made: Made) -> None:
    require_trainable(made.job())
    optics = made.config.optics.model_copy(update={"range_um": 15.0})
    for changes, key in (
        ({"data": made.config.data.model_copy(update={"fields": 56})}, "data"),
        ({"optics": optics}, "optics"),
    ):
        with pytest.raises(ConfigRefused, match=f"another training: {key} differs"):
            require_trainable(made.job(made.config.model_copy(update=changes)))
