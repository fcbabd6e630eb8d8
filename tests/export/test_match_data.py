"""The pairs of a configuration: the same every time, as the device sees them, and what refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

from export.datasets.pairs.made import MadeSource
from export.tasks.match.build import StripViews
from export.tasks.match.config import MatchConfig, read_match_config
from export.tasks.match.data import read_pairs
from export.tasks.match.pairs import PLACES, PairSamples
from export.tasks.registry import Order, make
from runtime.errors import ConfigRefused, InputRefused
from runtime.tasks.match.record import STRIPS, StripInput
from tests.export import tiny_matcher

pytestmark = pytest.mark.export
SHAPE = (32, 64)
SHIPPED = Path(__file__).parents[2] / "export" / "configs" / "match_small.toml"


def pairs(**changes: Any) -> PairSamples:
    usual: dict[str, Any] = {"source": MadeSource(), "count": 8, "shape": SHAPE, "seed": 3}
    return PairSamples(**{**usual, **changes})


def bytes_of(samples: PairSamples, index: int, rng: np.random.Generator | None = None) -> bytes:
    sample = samples.read(index, rng)
    return sample.inputs[STRIPS].tobytes() + sample.targets[PLACES].tobytes()


def test_a_pair_as_it_is_depends_on_the_seed_and_its_number_alone() -> None:
    looks = {bytes_of(pairs(), index) for index in range(3)}
    assert len(looks) == 3
    # In any order, of however many, and again.
    assert {bytes_of(pairs(count=100), index) for index in (2, 0, 1)} == looks
    assert bytes_of(pairs(seed=4), 0) not in looks


def test_in_an_epoch_a_pair_depends_on_its_generator_alone() -> None:
    one, same, other = (
        bytes_of(pairs(seed=seed), index, np.random.default_rng(number))
        for seed, index, number in ((3, 0, 7), (4, 5, 7), (3, 0, 8))
    )
    assert one == same
    assert one != other


def test_training_sees_the_bits_that_the_device_sees() -> None:
    height_px, width_px = SHAPE
    shown = StripInput(height_px=height_px, width_px=width_px)
    samples = pairs()
    for index in range(4):
        drawn, sample = samples.draw(index, None), samples.read(index, None)
        on_device = shown.inputs([drawn.first, drawn.second], lambda name: np.load(name))
        assert sample.inputs.keys() == on_device.keys()
        assert sample.inputs[STRIPS].dtype == np.float32
        assert sample.inputs[STRIPS].tobytes() == on_device[STRIPS].tobytes()


def test_places_are_told_row_by_row_down_first() -> None:
    samples = pairs()
    for index in range(4):
        drawn, told = samples.draw(index, None), samples.read(index, None).targets[PLACES]
        assert told.shape == (4 * 8, 2)
        assert told.flags.c_contiguous
        for row, column in ((0, 0), (1, 0), (2, 5), (3, 7)):
            x, y = drawn.places_px[row, column]
            assert np.array_equal(told[8 * row + column], (y, x), equal_nan=True)


def test_some_pairs_are_turned_by_little_and_some_by_much() -> None:
    def turn_deg(index: int) -> float:
        places = pairs(count=60, shape=(96, 256)).draw(index, None).places_px
        along = np.diff(places, axis=1).reshape(-1, 2)
        x, y = np.nanmedian(along, axis=0) if np.isfinite(along).any() else (1.0, 0.0)
        return abs(float(np.rad2deg(np.arctan2(y, x))))

    turns = np.array([turn_deg(index) for index in range(40)])
    assert 0.4 < np.mean(turns < 3.2) < 0.9
    assert turns.max() > 5


def test_views_for_the_judge_are_the_first_pairs_and_know_their_places() -> None:
    views = StripViews(pairs(), 3)
    assert len(views) == 3
    assert [one[STRIPS].tobytes() for one in views] == [
        pairs().read(index, None).inputs[STRIPS].tobytes() for index in range(3)
    ]
    assert views.places_px().shape == (3, 32, 2)


CONFIG = f"""{tiny_matcher.CONFIG}[data]
train = ["a", "b"]
validation = ["c"]
textures = 0.25
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with an image of every specimen of the configuration."""
    base = tmp_path / "images"
    for number, name in enumerate("abc"):
        (base / name).mkdir(parents=True)
        noise = np.random.default_rng(number).normal(0, 1, (320, 320))
        image = 128 + 40 * cv2.GaussianBlur(noise, (0, 0), 3) * 8
        cv2.imwrite(str(base / name / "x.png"), np.clip(image, 0, 255).astype(np.uint8))
    return base


def config_of(tmp_path: Path, old: str = "", new: str = "") -> MatchConfig:
    assert old in CONFIG
    (tmp_path / "m.toml").write_text(CONFIG.replace(old, new) if old else CONFIG)
    return read_match_config(tmp_path / "m.toml")


def test_seeds_differ_in_training_and_are_judged_alike(tmp_path: Path, folder: Path) -> None:
    config = config_of(tmp_path)
    one, other = (read_pairs(config, folder, seed=seed) for seed in (5, 6))
    assert one.digest == other.digest
    assert (len(one.train), len(one.validation)) == (8000, 256)
    for index in range(2):
        assert bytes_of(one.validation, index) == bytes_of(other.validation, index)
        assert bytes_of(one.train, index) != bytes_of(other.train, index)
    wider = one.of_shape((32, 96))
    assert wider.train.read(0, None).inputs[STRIPS].shape == (2, 1, 32, 96)
    assert wider.digest == one.digest


def test_other_images_are_other_data(tmp_path: Path, folder: Path) -> None:
    config = config_of(tmp_path)
    before = read_pairs(config, folder, seed=0).digest
    assert read_pairs(config, folder, seed=0).digest == before
    image = cv2.imread(str(folder / "c" / "x.png"), cv2.IMREAD_GRAYSCALE)
    assert image is not None
    image[0, 0] ^= 1
    cv2.imwrite(str(folder / "c" / "x.png"), image)
    after = read_pairs(config, folder, seed=0).digest
    (folder / "a" / "x.png").rename(folder / "a" / "y.png")
    assert len({before, after, read_pairs(config, folder, seed=0).digest}) == 3


def test_without_a_folder_it_is_said_what_it_must_hold(tmp_path: Path) -> None:
    with pytest.raises(ConfigRefused, match=r"tiny-match needs the folder .*a, b, c.*--data"):
        read_pairs(config_of(tmp_path), None, seed=0)
    (tmp_path / "m.toml").write_text(CONFIG)
    with pytest.raises(ConfigRefused, match="--data"):
        make(Order(config=tmp_path / "m.toml", data=None, seed=0, out=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("same", ["b", "./b", "../images/b", "c/../b"])
def test_a_specimen_that_is_learnt_from_cannot_judge(
    tmp_path: Path, folder: Path, same: str
) -> None:
    config = config_of(tmp_path, 'validation = ["c"]', f'validation = ["c", "{same}"]')
    with pytest.raises(ConfigRefused, match=r"learnt from cannot judge; value .*b"):
        read_pairs(config, folder, seed=0)


def test_a_folder_that_is_missing_or_empty_and_a_bad_image_are_named(
    tmp_path: Path, folder: Path
) -> None:
    config = config_of(tmp_path)
    (folder / "c" / "x.png").write_bytes(b"no picture")
    with pytest.raises(InputRefused, match=r"c/x\.png"):
        read_pairs(config, folder, seed=0)
    (folder / "c" / "x.png").unlink()
    with pytest.raises(InputRefused, match="c holds no image"):
        read_pairs(config, folder, seed=0)
    (folder / "c").rmdir()
    with pytest.raises(InputRefused, match="c is no folder"):
        read_pairs(config, folder, seed=0)


def test_textures_alone_need_no_folder(tmp_path: Path) -> None:
    bare = config_of(tmp_path, 'train = ["a", "b"]\nvalidation = ["c"]')
    split = read_pairs(bare, None, seed=0)
    assert split.train.read(0, None).inputs[STRIPS].shape == (2, 1, *SHAPE)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("textures = 0.25", "texture = 0.25", "did you mean 'textures'"),
        ("textures = 0.25", "textures = 1.5", r"data\.textures"),
        (
            'train = ["a", "b"]\nvalidation = ["c"]\ntextures = 0.25',
            "textures = 0",
            r"data.*train.*nothing to draw from",
        ),
        ('fine = "offset"', 'fine = "window"', r"network.*'window'.*'offset' or 'none'"),
        ("heads = 2", "heads = 3", r"network.*3 heads.*width.*8"),
        ("widths = [8, 8, 8]", "widths = [8, 8, 10]", r"network\.widths"),
        ("width_px = 64", "width_px = 100", r"trained\.width_px"),
        ("width_px = 96", "width_px = 4096", r"packed\.width_px"),
        ("height_px = 32\nwidth_px = 96", "height_px = 24\nwidth_px = 96", r"packed\.height_px"),
        ('name = "tiny-match"', 'name = "Tiny match"', "'name'"),
        ('task = "match"', 'task = "classify"', "'task'"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(ConfigRefused, match=message) as caught:
        config_of(tmp_path, old, new)
    assert "m.toml" in str(caught.value)


def test_what_ships_learns_and_is_judged_on_other_specimens() -> None:
    data = read_match_config(SHIPPED).data
    assert data.train
    assert data.validation
    assert not set(data.train) & set(data.validation)
