"""The texture stream on made textures that intensity cannot tell: linear, over cells, by folds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from export.config.recipe import ClassifyRecipe
from export.config.training import TrainingConfig
from export.convert.graph import to_parts
from export.datasets.labelled import DataSplit, LabelledImages
from export.datasets.prepared import PreparedViews
from export.datasets.reading import Data, PreparedSplit, prepare_parts
from export.datasets.views import choose_field
from export.evaluate.votes import network_outputs, unseen_outputs
from export.networks.base import TileNetwork
from export.networks.fusion import FusedClassifier, Fusion
from export.networks.registry import make_network
from export.networks.texture import TextureNet
from export.quantise import to_int8
from export.tasks.classify.divide import fold_images
from export.tasks.classify.folds import votes_unseen
from export.tasks.classify.fuse import stream_votes, train_classifier, votes
from export.tasks.classify.linear import linear_texture
from export.tasks.classify.streams import StreamJob, chosen, train_stream
from export.tasks.classify.task import ClassTask, channel_moments
from runtime.inference.backends import backends, open_session
from runtime.preprocess.spec import PreprocessSpec
from runtime.tasks.classify.record import SCORES

pytestmark = pytest.mark.export
LUT = np.zeros((256, 3), np.float32)
SPEC = PreprocessSpec(inputs=("intensity", "texture"), height_px=32, width_px=32, texture_cells=4)
RECIPE = ClassifyRecipe(epochs=2, batch=8, threads=1)


def grain(rng: np.random.Generator, bumps: bool) -> np.ndarray:
    """Return grain of one spectrum, its few peaks up or down: no map of 32 px holds that."""
    noise = cv2.GaussianBlur(rng.normal(size=(128, 128)), (0, 0), 0.8)
    skewed = np.exp(2.0 * noise / noise.std() / 2) * (1 if bumps else -1)
    skewed -= cv2.GaussianBlur(skewed, (0, 0), 2)
    levels = rng.uniform(90, 140) + rng.uniform(6, 12) * skewed / skewed.std()
    return np.clip(levels * 200, 0, 65535).astype(np.uint16)


def made(specimens: int, *, seed: int) -> LabelledImages:
    rng = np.random.default_rng(seed)
    pixels = [grain(rng, bool(index % 2)) for index in range(specimens * 6)]
    return LabelledImages(
        source=f"grain {seed}",
        classes=("pits", "bumps"),
        load=lambda index: pixels[index],
        target=np.arange(len(pixels)) % 2,
        specimen=np.repeat([f"{seed} {i}" for i in range(specimens)], 6),
        pixel_size_um=np.full(len(pixels), 0.1),
        names=np.array([f"{seed} {i}" for i in range(len(pixels))]),
        shape_px=np.tile([128, 128], (len(pixels), 1)),
        variants=(0,),
    )


@pytest.fixture(scope="module")
def data() -> Data:
    parts = DataSplit(train=made(6, seed=1), validation=made(3, seed=2), test=made(4, seed=3))
    return Data(parts=parts, field=choose_field(parts.train))


@pytest.fixture(scope="module")
def views(data: Data) -> PreparedSplit:
    return prepare_parts(data, SPEC, LUT)


def right(network: torch.nn.Module, views: PreparedSplit) -> float:
    with torch.no_grad():
        shown = torch.from_numpy(next(views.test.in_order("texture", batch=99)))
        return float((network(shown).argmax(1).numpy() == views.test.target).mean())


def job(out: Path, architecture: str) -> StreamJob:
    return StreamJob(
        architecture=architecture, input_name="texture", recipe=RECIPE, seed=0, out=out
    )


def say(network: TileNetwork, views: PreparedViews) -> np.ndarray:
    return stream_votes(network, views, input_name="texture", kind="none")


def test_a_linear_machine_tells_them_apart(views: PreparedSplit) -> None:
    assert right(linear_texture([views.train], RECIPE), views) > 0.9


def test_so_does_the_network_over_cells(views: PreparedSplit, tmp_path: Path) -> None:
    assert right(train_stream(job(tmp_path, "texture-cells"), views), views) > 0.9


def test_the_best_is_one_of_both(views: PreparedSplit, tmp_path: Path) -> None:
    best = chosen(job(tmp_path, "best"), views)
    assert best.architecture in ("texture-linear", "texture-cells")
    assert right(train_stream(best, views), views) > 0.9


def test_a_linear_machine_is_the_same_wherever_its_texture_lies(views: PreparedSplit) -> None:
    network = linear_texture([views.train], RECIPE)
    shown = torch.from_numpy(next(views.test.in_order("texture", batch=4)))
    assert torch.allclose(network(shown), network(shown.flip(2, 3)), atol=1e-4)


def test_the_network_starts_standardised(views: PreparedSplit) -> None:
    task = ClassTask(data=views, architecture="texture-cells", input_name="texture", recipe=RECIPE)
    network = task.network()
    shown = torch.from_numpy(next(views.train.in_order("texture", batch=99)))
    seen = (shown - network.mean) * network.scale  # type: ignore[operator]
    varied = shown.std(dim=(0, 2, 3)) > 1e-3
    assert torch.allclose(
        seen.mean(dim=(0, 2, 3))[varied], torch.zeros(int(varied.sum())), atol=1e-2
    )
    assert torch.allclose(seen.std(dim=(0, 2, 3))[varied], torch.ones(int(varied.sum())), atol=1e-2)


def test_features_are_as_wide_as_they_say() -> None:
    for name, width in (("texture-cells", 32), ("texture-linear", 108)):
        network = make_network(name, channels=108, classes=3)
        shown = torch.rand(2, 108, 4, 4)
        assert network.features(shown).shape == (2, network.feature_width) == (2, width)
        assert network(shown).shape == (2, 3)


def test_no_specimen_is_in_both_sides_of_a_fold(views: PreparedSplit) -> None:
    folds = fold_images([views.train.images], folds=3, seed=0)
    specimen = views.train.images.specimen
    assert len(folds) == 3
    assert sorted(np.concatenate([unseen for _, unseen in folds])) == [*range(36)]
    for seen, unseen in folds:
        assert not set(specimen[seen]) & set(specimen[unseen])


def test_the_linear_machine_learns_from_validation_and_votes_on_it_unseen(
    views: PreparedSplit, tmp_path: Path
) -> None:
    """One specimen's classes are turned round, which only a machine that saw them would say."""
    turned = views.validation.images.specimen == "2 0"
    target = np.where(turned, 1 - views.validation.target, views.validation.target)
    images = replace(views.validation.images, target=target)
    data = replace(views, validation=replace(views.validation, images=images))
    one = job(tmp_path, "texture-linear")
    network = train_stream(one, data)
    both = linear_texture([data.train, data.validation], RECIPE)
    assert torch.equal(network.cells.weight, both.cells.weight)
    assert (say(network, data.validation).argmax(1) == target)[turned].all()
    said = votes_unseen(one, network, data, say, folds=0)
    assert said.train is not None
    assert (said.train.argmax(1) == data.train.target).mean() > 0.8
    assert (said.validation.argmax(1) == target)[turned].mean() < 0.2
    assert (said.validation.argmax(1) == target)[~turned].mean() > 0.8


def test_of_one_specimen_it_learns_from_the_training_images_alone(
    views: PreparedSplit, tmp_path: Path
) -> None:
    """Its other half, kept for validation, is all there is to say how good it is."""
    first = np.flatnonzero(views.train.images.specimen == "1 0")
    data = replace(views, train=views.train.subset(first))
    one = job(tmp_path, "texture-linear")
    network = train_stream(one, data)
    alone = linear_texture([data.train], RECIPE)
    assert torch.equal(network.cells.weight, alone.cells.weight)
    said = votes_unseen(one, network, data, say, folds=3)
    assert said.train is None
    assert np.array_equal(said.validation, say(network, data.validation))


def test_an_evaluation_takes_votes_unseen_and_features_of_the_network_itself(
    views: PreparedSplit, tmp_path: Path
) -> None:
    one = job(tmp_path, "texture-linear")
    network = train_stream(one, views)
    own = network_outputs(network, views.validation, "texture")
    unseen = unseen_outputs(one, network, views, own, folds=0)
    said = votes_unseen(one, network, views, say, folds=0)
    assert np.allclose(unseen["validation"].logits, said.validation, atol=1e-4)
    assert np.allclose(unseen["folds"].logits, cast("np.ndarray", said.train), atol=1e-4)
    assert not np.allclose(unseen["validation"].logits, own.logits, atol=1e-2)
    assert np.array_equal(unseen["validation"].features, own.features)


def config(**fusion: object) -> TrainingConfig:
    return TrainingConfig.model_validate(
        {
            "name": "grain", "version": "1.0.0", "classes": ["pits", "bumps"], "licence": "made",
            "data": {"reader": "folder"}, "network": {"architectures": ["compact"]},
            "fusion": {"inputs": ["intensity", "texture"], **fusion},
            "preprocessing": {"height_px": 32, "width_px": 32, "texture_cells": 4},
            "recipe": {"epochs": 2, "batch": 8, "threads": 1},
        }
    )  # fmt: skip


def test_late_fusion_keeps_what_earns_its_place(views: PreparedSplit, tmp_path: Path) -> None:
    """Intensity has learned next to nothing in two epochs: the texture decides, and is right."""
    fused = train_classifier(config(kind="late", folds=2), views, seed=0, out=tmp_path)
    assert "texture" in fused.inputs
    assert set(fused.gains) == {"intensity", "texture"}
    assert fused.gains["texture"] > 1
    inputs = views.test.seeing(fused.inputs)
    with torch.no_grad():
        found = torch.softmax(fused.fuse(torch.from_numpy(votes(fused, inputs))), 1).numpy()
    assert (found.argmax(1) == views.test.target).mean() > 0.9
    assert (tmp_path / "compact_intensity" / "fold1" / "checkpoint.pt").is_file()


def test_mid_fusion_joins_any_networks(views: PreparedSplit, tmp_path: Path) -> None:
    fused = train_classifier(config(kind="mid"), views, seed=0, out=tmp_path)
    assert fused.fuse.in_features in (128 + 32, 128 + 108)
    with torch.no_grad():
        found = fused.fuse(torch.from_numpy(votes(fused, views.test))).numpy()
    assert (found.argmax(1) == views.test.target).mean() > 0.9


@pytest.mark.parametrize("network", ["texture-linear", "texture-cells"])
@pytest.mark.parametrize("kind", ["late", "mid"])
def test_every_back_end_says_what_torch_says(
    views: PreparedSplit, network: str, kind: Fusion
) -> None:
    torch.manual_seed(0)
    streams = {
        "intensity": make_network("compact", channels=1, classes=2),
        "texture": make_network(network, channels=108, classes=2),
    }
    shares = next(views.train.in_order("texture", batch=99))
    moments = map(torch.from_numpy, channel_moments(shares))
    cast("TextureNet", streams["texture"]).standardise(*moments)
    fused = FusedClassifier(kind, streams, classes=2).eval()
    examples = [views.train.inputs(view) for view in range(12)]
    parts = to_parts(fused, examples[0])
    with torch.no_grad():
        shown = {name: torch.from_numpy(array) for name, array in examples[3].items()}
        wanted = torch.softmax(fused.fuse(fused.votes(shown)), dim=1).numpy()
    for model, off in ((parts.joined(), 1e-4), (to_int8(parts, examples), 0.05)):
        for backend in backends():
            session = open_session(model, backend=backend, threads=1)
            found = session.run(examples[3])[SCORES]
            assert np.abs(found - wanted).max() < off
