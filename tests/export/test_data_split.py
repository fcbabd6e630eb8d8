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


def uneven() -> LabelledImages:
    """One specimen larger than any other has no "b", one holds a third of all "b"."""
    size = {f"s{i}": 4 for i in range(16)} | {"large": 17, "rich": 23}
    specimen = [name for name, count in size.items() for _ in range(count)]
    rich = [i < 19 for i in range(23)]
    target = [int(i % 4 < 2) for i in range(64)] + [0] * 17 + [int(b) for b in rich]
    return made(specimen, target)


def scattered() -> LabelledImages:
    """Five of eight specimens have a "b", and of the deals tried one after the other the first
    leaves a fold without.
    """
    count = [(8, 0), (6, 1), (11, 0), (1, 3), (3, 1), (1, 3), (8, 2), (2, 0)]
    specimen = [f"s{i}" for i, (a, b) in enumerate(count) for _ in range(a + b)]
    return made(specimen, [one for a, b in count for one in [0] * a + [1] * b])


def drawn(images: LabelledImages, seeds: range, part: str) -> list[frozenset[str]]:
    return [frozenset(getattr(split(images, seed), part).specimen.tolist()) for seed in seeds]


def even() -> LabelledImages:
    return made([f"s{i // 2}" for i in range(8)], [0, 1] * 4)


@pytest.mark.parametrize("part", ["test", "validation"])
@pytest.mark.parametrize(
    ("images", "seeds"),
    [
        (uneven(), range(5)),
        (uneven(), range(5, 10)),
        (scattered(), range(5)),
        (even(), range(4)),
    ],
    ids=["uneven", "another deal", "scattered", "four specimens"],
)
def test_seeds_in_a_row_test_and_validate_every_specimen_once(
    images: LabelledImages, seeds: range, part: str
) -> None:
    together = [specimen for one in drawn(images, seeds, part) for specimen in one]
    assert sorted(together) == sorted(set(images.specimen.tolist()))


def test_five_more_seeds_deal_the_specimens_anew() -> None:
    first, next_five = (set(drawn(uneven(), range(n, n + 5), "test")) for n in (0, 5))
    assert first != next_five


@pytest.mark.parametrize("seed", range(5))
def test_a_class_in_three_specimens_is_in_every_part(seed: int) -> None:
    specimen = [f"s{i}" for i in range(20) for _ in range(4)]
    parts = split(made(specimen, [int(i in (0, 1, 8, 9, 40, 41)) for i in range(80)]), seed)
    for part in (parts.train, parts.validation, parts.test):
        assert min(part.counts().values()) > 0


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
