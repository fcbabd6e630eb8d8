"""A classifier is measured on the same images in every depth."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from export.datasets.labelled import LabelledImages
from export.datasets.prepared import PreparedViews, prepare
from export.datasets.views import choose_field
from export.progress import silent
from export.tasks.classify.depths import accuracy_by_depth, recorded
from runtime.inference.session import Outputs
from runtime.preprocess.spec import PreprocessSpec

pytestmark = pytest.mark.export
COUNT, SIDE_PX = 4, 48
SPEC = PreprocessSpec(height_px=SIDE_PX, width_px=SIDE_PX, inputs=("intensity",))


def images() -> LabelledImages:
    """Return two classes of 8-bit pictures that hold every grey."""
    pixels = np.random.default_rng(1).integers(0, 256, (COUNT, SIDE_PX, SIDE_PX), dtype=np.uint8)
    return LabelledImages(
        source="made",
        classes=("a", "b"),
        load=lambda index: pixels[index],
        target=np.arange(COUNT) % 2,
        specimen=np.array([f"s{i}" for i in range(COUNT)]),
        pixel_size_um=np.full(COUNT, 0.5),
        names=np.array([f"image {i}" for i in range(COUNT)]),
        shape_px=np.tile([SIDE_PX, SIDE_PX], (COUNT, 1)),
    )


def test_the_depths_record_one_scene_and_one_noise() -> None:
    shares = {}
    for bits in (8, 10, 12, 16):
        pixels = recorded(images(), bits=bits).load(2)
        assert pixels.dtype == (np.uint8 if bits == 8 else np.uint16)
        shares[bits] = pixels / (2**bits - 1)
    light = images().load(2) / 255
    for bits, share in shares.items():
        assert np.abs(share - shares[16]).max() <= 0.55 / (2**bits - 1)  # rounding, and no more
        assert share.max() <= 0.75
        noise = share - 0.7 * light
        assert 0.001 < noise.std() < 0.006


def test_the_accuracy_of_a_depth_is_that_of_its_images() -> None:
    """The classifier made up here is right where it sees 8 bits, else calls everything "b"."""
    made = images()
    lut = np.zeros((256, 3), np.float32)
    part = prepare(made, SPEC, lut, choose_field(made), variants=(0,))

    def outputs(seen: PreparedViews) -> dict[str, Outputs]:
        few = seen.load(0).max() < 256
        said = seen.target if few else np.ones(len(seen), int)
        return {"int8": {"scores": np.eye(2, dtype=np.float32)[said]}}

    assert accuracy_by_depth(part, outputs, progress=silent) == {
        "int8": {
            "accuracy_8_bits": 1.0,
            "accuracy_10_bits": 0.5,
            "accuracy_12_bits": 0.5,
            "accuracy_16_bits": 0.5,
        }
    }
