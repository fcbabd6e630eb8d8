"""A model says which streams earned their place, and by how much."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from export.config.training import TrainingConfig
from export.datasets.labelled import DataSplit, LabelledImages
from export.networks.fusion import FusedClassifier
from export.networks.registry import make_network
from export.tasks.classify.earned import streams_said

pytestmark = pytest.mark.export


def images(specimens: int) -> LabelledImages:
    count = 2 * specimens
    return LabelledImages(
        source="made",
        classes=("a", "b"),
        load=lambda index: np.full((8, 8), index, np.uint8),
        target=np.arange(count) % 2,
        specimen=np.array([f"s{index // 2}" for index in range(count)]),
        pixel_size_um=np.ones(count),
        names=np.array([f"image {index}" for index in range(count)]),
    )


def said(kind: str, streams: tuple[str, ...], gains: dict[str, float], specimens: int = 4) -> str:
    config = TrainingConfig.model_validate(
        {
            "name": "made", "version": "1.0.0", "classes": ["a", "b"], "licence": "made",
            "data": {"reader": "folder"}, "network": {"architectures": ["compact"]},
            "fusion": {"kind": kind, "inputs": ["intensity", "lbp1"]},
        }
    )  # fmt: skip
    networks = {
        name: make_network("compact", channels=1 if name == "intensity" else 3, classes=2)
        for name in streams
    }
    classifier = FusedClassifier("late" if len(streams) > 1 else "none", networks, classes=2)
    classifier.gains = gains
    part = images(specimens)
    return streams_said(
        config, classifier, DataSplit(train=part, validation=part, test=part), seed=0
    )


def test_what_each_stream_gained_in_the_order_in_which_they_joined() -> None:
    found = said("late", ("intensity", "lbp1"), {"lbp1": 81.27, "intensity": 12.31})
    assert found == (
        "streams lbp1 +81.3 nats, intensity +12.3 nats: how much likelier each made all held-out "
        "views, the first beside a guess; classes expected alike"
    )


def test_why_a_stream_was_left_out() -> None:
    found = said("late", ("intensity",), {"intensity": 81.27, "lbp1": -0.04})
    assert found.startswith(
        "streams intensity +81.3 nats, left out lbp1 +0.0 nats (up to 1 is chance): how much"
    )


def test_one_specimen_leaves_none_to_hold_out() -> None:
    assert "by how they did on the validation" in said("late", ("intensity",), {"intensity": 9}, 1)


def test_mid_fusion_names_its_streams_alone() -> None:
    assert said("mid", ("intensity", "lbp1"), {}) == "streams intensity, lbp1"
