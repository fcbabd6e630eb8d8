"""What networks are trained on is what the runtime would give them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

from export.datasets.labelled import AS_IT_IS, LabelledImages
from export.datasets.prepared import Prepared, prepare
from export.datasets.views import choose_field, cut, dihedral
from runtime.errors import InputRefused
from runtime.inference.manifest import FieldInPixels, FieldOfView
from runtime.inference.windows import windows
from runtime.preprocess.inputs import to_input
from runtime.preprocess.spec import PreprocessSpec
from runtime.tile import Picture

pytestmark = pytest.mark.export
LUT = np.random.default_rng(7).normal(size=(256, 3)).astype(np.float32)
NAMES = ("intensity", "lbp2", "intensity+lbp1+lbp3")
SPEC = PreprocessSpec(height_px=48, width_px=48, inputs=NAMES)


def made(count: int = 3, sizes_um: tuple[float, ...] = (0.5, 0.5, 0.5)) -> LabelledImages:
    pixels = np.random.default_rng(1).integers(0, 4000, (count, 64, 90), dtype=np.uint16)
    return LabelledImages(
        source="made",
        classes=("a", "b"),
        load=lambda index: pixels[index],
        target=np.arange(count) % 2,
        specimen=np.array([f"s{i}" for i in range(count)]),
        pixel_size_um=np.array(sizes_um),
        names=np.array([f"image {i}" for i in range(count)]),
        shape_px=np.tile([64, 90], (count, 1)),
    )


def prepared(images: LabelledImages | None = None, spec: PreprocessSpec = SPEC) -> Prepared:
    images = made() if images is None else images
    return prepare(images, spec, LUT, choose_field(images))


def test_views_are_those_of_the_runtime() -> None:
    images, held = made(), prepared()
    assert isinstance(held.field, FieldOfView)
    picture = Picture(pixels=images.load(1), pixel_size_um=0.5)
    views = windows(picture, field=held.field)
    assert len(views) == 2
    assert held.image.tolist() == [0, 0, 1, 1, 2, 2]
    for view, pixels in enumerate(views, start=2):
        wanted = to_input(pixels, SPEC, LUT)
        found = held.inputs(view)
        assert all(np.array_equal(found[name], wanted[name]) for name in NAMES)


@pytest.mark.parametrize("variant", range(8))
def test_a_variant_is_the_view_turned_before_it_is_sampled(variant: int) -> None:
    turned = dihedral(made().load(0)[:64, :64], variant)
    wanted = to_input(turned, SPEC, LUT)
    found = prepared().inputs(0, variant)
    assert all(np.array_equal(found[name], wanted[name]) for name in NAMES)


def test_the_eight_variants_differ() -> None:
    pixels = np.arange(9, dtype=np.uint8).reshape(3, 3)
    assert len({dihedral(pixels, variant).tobytes() for variant in range(8)}) == 8


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_holds_the_same_bits_as_single_inputs(name: str) -> None:
    held = prepared()
    batches = list(held.in_order(name, batch=4, variants=(0, 5)))
    images = np.concatenate([batch.images for batch in batches])
    wanted = [held.inputs(view, variant)[name][0] for variant in (0, 5) for view in range(6)]
    assert np.array_equal(images, np.stack(wanted))
    assert np.concatenate([b.target for b in batches]).tolist() == [0, 0, 1, 1, 0, 0] * 2


def test_an_epoch_shows_every_variant_of_every_view_once() -> None:
    held = prepared()
    shown = [
        image.tobytes()
        for batch in held.batches("intensity", batch=5, rng=np.random.default_rng(0))
        for image in batch.images
    ]
    assert len(shown) == 48
    assert len(set(shown)) == 48
    assert held.epoch_batches(batch=5, variants="all") == 10
    assert held.epoch_batches(batch=5, variants="one") == 2


def test_no_batch_has_one_image() -> None:
    rng = np.random.default_rng(0)
    sizes = [len(b.target) for b in prepared().batches("lbp2", batch=47, rng=rng)]
    assert sizes == [24, 24]


def test_scores_of_an_image_are_the_mean_over_its_views() -> None:
    scores = np.array([[1, 0], [0, 1], [1, 0], [1, 0], [0, 1], [0.5, 0.5]], dtype=np.float32)
    assert prepared().image_scores(scores).tolist() == [[0.5, 0.5], [1, 0], [0.25, 0.75]]


def test_images_of_many_magnifications_are_viewed_in_pixels() -> None:
    field = choose_field(made(sizes_um=(0.1, 0.5, 0.5)))
    assert field == FieldInPixels(height_px=64, width_px=64)


def test_inputs_that_are_not_square_are_never_turned_on_their_side() -> None:
    wide = PreprocessSpec(height_px=32, width_px=48, inputs=("intensity",))
    assert prepared(spec=wide).intensity.shape[1] == 4
    drawn = replace(made(), variants=AS_IT_IS)
    assert prepared(drawn).intensity.shape[1] == 1


def test_other_pixels_or_other_labels_are_other_data() -> None:
    first = prepared()
    assert first.fingerprint("intensity") == prepared().fingerprint("intensity")
    other = replace(made(), target=np.array([1, 0, 1]))
    assert first.fingerprint("intensity") != prepared(other).fingerprint("intensity")
    smaller = replace(SPEC, height_px=SPEC.height_px // 2, width_px=SPEC.width_px // 2)
    assert first.fingerprint("intensity") != prepared(spec=smaller).fingerprint("intensity")


def test_what_else_was_prepared_is_no_other_data_for_an_input() -> None:
    alone, beside = (
        prepared(spec=replace(SPEC, inputs=inputs)) for inputs in (("lbp1",), ("intensity", "lbp1"))
    )
    assert alone.fingerprint("lbp1") == beside.fingerprint("lbp1")
    assert beside.fingerprint("lbp1") != beside.fingerprint("intensity")


def test_pages_of_files_count_as_memory_to_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "meminfo"
    monkeypatch.setattr("export.datasets.prepared.MEMORY_INFO", told)
    told.write_text("MemTotal: 9000 kB\nMemFree: 1 kB\nMemAvailable: 8000 kB\n")
    prepared()
    told.write_text("MemTotal: 9000 kB\nMemFree: 1 kB\nMemAvailable: 400 kB\n")
    with pytest.raises(InputRefused, match=r"limit 0\.0 GB"):
        prepared()


def test_cuts_follow_the_whole_view_in_every_orientation() -> None:
    images = made()
    field = choose_field(images)
    held, whole = prepare(images, SPEC, LUT, field, cuts=3), prepared(images)
    assert held.intensity.shape[1] == held.codes.shape[1] == 8 * 4
    assert np.array_equal(held.codes[:, :8], whole.codes)
    assert len({held.codes[0, variant].tobytes() for variant in range(32)}) == 32
    again = prepare(images, SPEC, LUT, field, cuts=3)
    assert np.array_equal(held.codes, again.codes)


@settings(derandomize=True)
@given(seed=st.integers(0, 999), top=st.integers(0, 30), sides=st.tuples(*[st.integers(8, 90)] * 2))
def test_a_cut_lies_in_its_view_and_keeps_its_proportions(
    seed: int, top: int, sides: tuple[int, int]
) -> None:
    view = (slice(top, top + sides[0]), slice(5, 5 + sides[1]))
    rows, columns = cut(view, np.random.default_rng(seed))
    for whole, part, side in zip(view, (rows, columns), sides, strict=True):
        assert whole.start <= part.start < part.stop <= whole.stop
        assert part.stop - part.start >= round(7 / 8 * side)
    kept = (rows.stop - rows.start) / sides[0]
    assert columns.stop - columns.start == pytest.approx(
        kept * sides[1], abs=1 + sides[1] / sides[0]
    )
