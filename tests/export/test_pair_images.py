"""Patches of real images: what is empty is constant, what is apart shares nothing."""

import cv2
import numpy as np
import pytest

from export.datasets.pairs.images import ImageSource, read_images
from runtime.errors import InputRefused

pytestmark = pytest.mark.export

SIDE = 640


def section(seed=0, *, filled=SIDE // 2):
    """Return a grey image with texture in its left columns and noisy empty resin elsewhere."""
    rng = np.random.default_rng(seed)
    tissue = cv2.GaussianBlur(rng.normal(0, 1, (SIDE, SIDE)), (0, 0), 3)
    image = 180 + rng.normal(0, 3, (SIDE, SIDE))
    image[:, :filled] += 30 * tissue[:, :filled] / tissue.std() - 60
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def test_empty_resin_loses_the_noise_that_both_strips_would_share():
    source = ImageSource([section()], name="section")
    patch = source.patch(np.random.default_rng(0), (SIDE, SIDE))
    assert np.ptp(patch[:, SIDE // 2 + 40 :]) == 0
    inside = patch[:, : SIDE // 2 - 40]
    assert np.array_equal(inside, section()[:, : SIDE // 2 - 40])


def test_patches_lie_where_there_is_texture():
    source = ImageSource([section(filled=200), section(1, filled=0)], name="sections")
    rng = np.random.default_rng(0)
    assert all(source.patch(rng, (96, 96)).std() > 5 for _ in range(40))


def test_a_patch_is_constant_beyond_the_image():
    source = ImageSource([section()], name="section")
    patch = source.patch(np.random.default_rng(1), (2 * SIDE, 100))
    assert patch.shape == (2 * SIDE, 100)
    assert np.ptp(patch[: SIDE // 2]) == np.ptp(patch[3 * SIDE // 2 :]) == 0
    assert np.ptp(patch[SIDE // 2 : 3 * SIDE // 2]) > 50


def test_two_patches_share_no_place():
    """Every place of the image has its own grey, so that a shared place would show."""
    rng = np.random.default_rng(0)
    image = rng.permutation(2**16).astype(np.uint16).reshape(256, 256)
    source = ImageSource([image], name="all different")
    for shape in ((60, 90), (200, 300)):
        for _ in range(10):
            one, other = source.two_patches(rng, shape)
            level = float(np.median(image))
            shared = set(one.ravel().tolist()) & set(other.ravel().tolist()) - {level}
            assert not shared


def test_images_are_held_once_and_as_they_are_stored():
    images = [section(seed) for seed in range(3)]
    assert ImageSource(images, name="sections").nbytes == sum(image.nbytes for image in images)


def test_a_folder_of_scans_is_a_source(tmp_path):
    for seed in range(2):
        cv2.imwrite(str(tmp_path / f"tile{seed}.png"), section(seed))
    (tmp_path / "notes.txt").write_text("no image")
    source = read_images(tmp_path)
    assert source.nbytes == 2 * SIDE * SIDE
    assert source.patch(np.random.default_rng(0), (96, 256)).shape == (96, 256)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ({}, "holds no image"),
        ({"small.png": np.zeros((300, 200), np.uint8)}, "small.png is too small"),
        ({"flat.png": np.full((300, 300), 7, np.uint8)}, "shows no texture"),
    ],
)
def test_a_folder_of_no_use_is_refused_by_name(tmp_path, images, message):
    for name, image in images.items():
        cv2.imwrite(str(tmp_path / name), image)
    with pytest.raises(InputRefused, match=message):
        read_images(tmp_path)


def test_a_damaged_image_is_named(tmp_path):
    (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(InputRefused, match=r"cut\.png"):
        read_images(tmp_path)


def test_what_is_no_folder_is_refused(tmp_path):
    with pytest.raises(InputRefused, match="is no folder"):
        read_images(tmp_path / "absent")
