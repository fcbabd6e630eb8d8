"""Division by specimen."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from export.datasets.labelled import LabelledImages
from export.datasets.split import split
from runtime.errors import InputRefused

pytestmark = pytest.mark.export


def made(specimen: list[str], target: list[int], part: list[str] | None = None) -> LabelledImages:
    count = len(target)
    return LabelledImages(
        source="made",
        classes=("a", "b"),
        load=lambda index: np.full((8, 8), index, np.uint8),
        target=np.array(target),
        specimen=np.array(specimen),
        pixel_size_um=np.ones(count),
        names=np.array([f"image {i}" for i in range(count)]),
        part=None if part is None else np.array(part),
    )


def many(seed: int = 0) -> LabelledImages:
    rng = np.random.default_rng(seed)
    specimen = [f"s{i}" for i in rng.integers(0, 20, 200)]
    return made(specimen, (rng.random(200) < 0.25).astype(int).tolist())


@pytest.mark.parametrize("seed", range(5))
def test_no_specimen_is_in_two_parts_and_every_image_in_one(seed: int) -> None:
    parts = split(many(), seed)
    held = [parts.train, parts.validation, parts.test]
    specimens = [set(part.specimen.tolist()) for part in held]
    assert not specimens[0] & specimens[1]
    assert not specimens[0] & specimens[2]
    assert not specimens[1] & specimens[2]
    assert sorted(n for part in held for n in part.names.tolist()) == sorted(many().names.tolist())
    assert all(min(part.counts().values()) > 0 for part in held)
    assert len(parts.train) > len(parts.test)


def test_a_part_loads_its_own_images() -> None:
    test = split(many(), 0).test
    for index in range(len(test)):
        assert int(test.names[index].split()[1]) == test.load(index)[0, 0]


def test_the_seed_decides_the_division() -> None:
    first, again, other = (split(many(), seed).test.names.tolist() for seed in (3, 3, 4))
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("specimen", "target", "message"),
    [
        (["s"] * 6, [0, 1] * 3, "too few specimens to divide it by specimen: s; value 1"),
        (["s", "t"] * 3, [0, 1] * 3, "value 2; limit at least 3"),
        (["s", "t", "u"] * 2, [0] * 6, "no image of class 'b'"),
        (["s", "t", "u", "v"] * 2, [1, 0, 0, 0] * 2, "no division by specimen"),
    ],
    ids=["one", "two", "empty class", "class in one specimen"],
)
def test_what_cannot_be_divided_is_refused(
    specimen: list[str], target: list[int], message: str
) -> None:
    with pytest.raises(InputRefused, match=message):
        split(made(specimen, target), 0)


def test_parts_fixed_by_the_source_are_kept() -> None:
    part = ["train", "train", "validation", "validation", "test", "test"]
    images = made(["s", "s", "t", "t", "u", "u"], [0, 1] * 3, part)
    assert split(images, 0).test.names.tolist() == split(images, 9).test.names.tolist()
    assert split(images, 0).test.names.tolist() == ["image 4", "image 5"]


def test_a_specimen_in_two_fixed_parts_is_refused() -> None:
    part = ["train", "train", "validation", "validation", "test", "test"]
    with pytest.raises(InputRefused, match="specimen s is in two parts; value train, validation"):
        split(made(["s", "s", "s", "t", "u", "u"], [0, 1] * 3, part), 0)


def test_a_fixed_part_without_a_class_is_refused() -> None:
    part = ["train", "train", "validation", "validation", "test", "test"]
    with pytest.raises(InputRefused, match="part 'test' lacks a class"):
        split(made(["s", "s", "t", "t", "u", "u"], [0, 1, 0, 1, 0, 0], part), 0)
