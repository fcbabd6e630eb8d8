"""What networks are trained on is what the runtime would give them."""

from __future__ import annotations

import threading
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

from export.datasets.labelled import AS_IT_IS, LabelledImages
from export.datasets.prepared import IMAGES_KEPT, PreparedViews, prepare
from export.datasets.views import choose_field, cut, dihedral
from export.tasks.classify.build import ViewInputs
from export.tasks.classify.task import ClassSamples
from export.training import stream
from export.training.stream import drawn, epoch_order, read_batches
from runtime.inference.view_input import FieldInPixels, FieldOfView
from runtime.inference.windows import windows
from runtime.preprocess.inputs import to_input
from runtime.preprocess.spec import PreprocessSpec
from runtime.preprocess.texture import texture
from runtime.tile import Picture

pytestmark = pytest.mark.export
LUT = np.random.default_rng(7).normal(size=(256, 3)).astype(np.float32)
NAMES = ("intensity", "lbp2", "intensity+lbp1+lbp3", "texture")
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


def prepared(images: LabelledImages | None = None, spec: PreprocessSpec = SPEC) -> PreparedViews:
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
def test_views_in_order_hold_the_same_bits_as_single_inputs(name: str) -> None:
    held = prepared()
    images = np.concatenate(list(held.in_order(name, batch=4)))
    assert np.array_equal(images, np.stack([held.inputs(view)[name][0] for view in range(6)]))


def test_an_epoch_shows_every_variant_of_every_view_once() -> None:
    samples = ClassSamples(prepared=prepared(), input_name="intensity", variants="all")
    rng = np.random.default_rng(0)
    shown = [samples.read(index, rng) for index in range(len(samples))]
    assert len({one.inputs["intensity"].tobytes() for one in shown}) == len(shown) == 48
    classes = [int(one.targets["class"]) for one in shown]
    assert classes == [0] * 16 + [1] * 16 + [0] * 16


def test_an_epoch_of_one_variant_shows_every_view_as_drawn() -> None:
    held = prepare(made(), SPEC, LUT, choose_field(made()), cuts=1)
    samples = ClassSamples(prepared=held, input_name="lbp2")
    rng = np.random.default_rng(0)
    assert len(samples) == 6
    drawn = {samples.read(2, rng).inputs["lbp2"].tobytes() for _ in range(100)}
    every = {held.inputs(2, way)["lbp2"].tobytes() for way in range(16)}
    assert drawn == every
    assert np.array_equal(samples.read(2, None).inputs["lbp2"], held.inputs(2)["lbp2"][0])


def test_scores_of_an_image_are_the_mean_over_its_views() -> None:
    scores = np.array([[1, 0], [0, 1], [1, 0], [1, 0], [0, 1], [0.5, 0.5]], dtype=np.float32)
    assert prepared().image_scores(scores).tolist() == [[0.5, 0.5], [1, 0], [0.25, 0.75]]


def test_images_of_many_magnifications_are_viewed_in_pixels() -> None:
    field = choose_field(made(sizes_um=(0.1, 0.5, 0.5)))
    assert field == FieldInPixels(height_px=64, width_px=64)


def test_inputs_that_are_not_square_are_never_turned_on_their_side() -> None:
    wide = PreprocessSpec(height_px=32, width_px=48, inputs=("intensity",))
    assert prepared(spec=wide).shown.variants == (0, 2, 4, 6)
    drawn = replace(made(), variants=AS_IT_IS)
    assert prepared(drawn).shown.variants == (0,)


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
    assert prepared().held is not None
    told.write_text("MemTotal: 9000 kB\nMemFree: 1 kB\nMemAvailable: 400 kB\n")
    assert prepared().held is None


@pytest.fixture
def no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "none"
    told.write_text("MemAvailable: 0 kB\n")
    monkeypatch.setattr("export.datasets.prepared.MEMORY_INFO", told)


@pytest.mark.usefixtures("no_memory")
def test_what_is_read_on_demand_has_the_bits_of_what_is_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    field = choose_field(made())
    streamed = prepare(made(), SPEC, LUT, field, cuts=2)
    monkeypatch.undo()
    held = prepare(made(), SPEC, LUT, field, cuts=2)
    assert streamed.held is None
    assert held.held is not None
    for view, way in [(0, 0), (3, 23), (5, 9), (2, 16)]:
        wanted, found = held.sampled(view, way), streamed.sampled(view, way)
        assert np.array_equal(found.intensity, wanted.intensity)
        assert np.array_equal(found.codes, wanted.codes)
    assert streamed.fingerprint("lbp2") == held.fingerprint("lbp2")


@pytest.mark.usefixtures("no_memory")
def test_a_set_larger_than_memory_never_has_more_than_a_few_images_decoded() -> None:
    pixels = np.random.default_rng(1).integers(0, 4000, (40, 64, 64), dtype=np.uint16)
    alive, peak = set[int](), 0
    lock = threading.Lock()

    def load(index: int) -> np.ndarray:
        nonlocal peak
        image = pixels[index].copy()
        with lock:
            alive.add(id(image))
            peak = max(peak, len(alive))
        weakref.finalize(image, alive.discard, id(image))
        return image

    images = replace(made(40, sizes_um=(0.5,) * 40), load=load, shape_px=np.tile([64, 64], (40, 1)))
    samples = ClassSamples(prepared=prepared(images), input_name="intensity")
    groups = epoch_order(40, batch=8, seed=0, epoch=0)
    shown = [batch.targets["image"] for batch in read_batches(samples, groups, drawn(0, 0))]
    assert sorted(np.concatenate(shown).tolist()) == list(range(40))
    # Each reader at one image, the few kept for the next view, and one being let go by a reader.
    assert 1 <= peak <= 2 * stream.THREADS + IMAGES_KEPT


@pytest.mark.usefixtures("no_memory")
def test_the_gate_is_given_views_that_are_made_when_asked_for() -> None:
    loaded: list[int] = []

    def load(index: int) -> np.ndarray:
        loaded.append(index)
        return made().load(index)

    views = ViewInputs(prepared(replace(made(), load=load)))
    assert (len(views), loaded) == (6, [])
    last, wanted = views[5], prepared().inputs(5)
    assert loaded == [2]
    assert all(np.array_equal(last[name], wanted[name]) for name in NAMES)
    assert [one["lbp2"].tobytes() for one in views] == [
        prepared().inputs(view)["lbp2"].tobytes() for view in range(6)
    ]


def test_fresh_views_are_exposed_and_cut_anew_in_every_epoch() -> None:
    def redraw(index: int, rng: np.random.Generator) -> np.ndarray:
        return made().load(index) // 2 + np.uint16(rng.integers(100))

    images = replace(made(), redraw=redraw)
    held = prepare(images, SPEC, LUT, choose_field(images), cuts=1)
    samples = ClassSamples(prepared=held, input_name="lbp2", variants="all", views="fresh")
    assert len(samples) == 6
    epochs = [samples.read(1, drawn(0, epoch)(1)).inputs["lbp2"] for epoch in range(6)]
    assert len({one.tobytes() for one in epochs}) == 6
    again = samples.read(1, drawn(0, 3)(1)).inputs["lbp2"]
    assert np.array_equal(again, epochs[3])
    assert np.array_equal(samples.read(1, None).inputs["lbp2"], held.inputs(1)["lbp2"][0])


def test_cuts_follow_the_whole_view_in_every_orientation() -> None:
    images = made()
    field = choose_field(images)
    held, whole = prepare(images, SPEC, LUT, field, cuts=3), prepared(images)
    assert len(held.shown) == 8 * 4
    codes, again = (
        np.stack([[one.sampled(view, way).codes for way in range(32)] for view in range(6)])
        for one in (held, prepare(images, SPEC, LUT, field, cuts=3))
    )
    uncut = np.stack([[whole.sampled(view, way).codes for way in range(8)] for view in range(6)])
    assert np.array_equal(codes[:, :8], uncut)
    assert len({codes[0, way].tobytes() for way in range(32)}) == 32
    assert np.array_equal(codes, again)


def test_texture_that_no_network_learns_from_is_counted_of_the_view_as_it_is_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images, spec = made(), replace(SPEC, inputs=("texture", "lbp2"))
    counted, field = [], choose_field(images)

    def counts(*args: object, **named: object) -> np.ndarray:
        counted.append(args)
        return texture(*args, **named)

    monkeypatch.setattr("runtime.preprocess.inputs.texture", counts)
    every = prepare(images, spec, LUT, field, cuts=1)
    assert len(counted) == 6 * 16
    counted.clear()
    spared = prepare(images, spec, LUT, field, cuts=1, turned_texture=False)
    assert len(counted) == 6
    for name in spec.inputs:
        ours, theirs = (next(views.in_order(name, batch=9)) for views in (spared, every))
        assert ours.tobytes() == theirs.tobytes()
    assert spared.fingerprint(*spec.inputs) == every.fingerprint(*spec.inputs)
    for way in (0, 3, 11):
        assert spared.sampled(4, way).codes.tobytes() == every.sampled(4, way).codes.tobytes()
        one, other = (views.inputs(4, way) for views in (spared, every))
        assert all(one[name].tobytes() == other[name].tobytes() for name in spec.inputs)


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


@pytest.mark.parametrize("held", [True, False])
def test_a_part_of_prepared_images_has_the_same_bits(held: bool) -> None:
    whole = prepare(made(), SPEC, LUT, choose_field(made()), cuts=2)
    if not held:
        whole = replace(whole, held=None)
    part = whole.subset(np.array([0, 2]))
    assert part.image.tolist() == [0, 0, 1, 1]
    assert part.images.names.tolist() == ["image 0", "image 2"]
    for view, same in enumerate([0, 1, 4, 5]):
        for way in (0, 9):
            for one, other in zip(
                part.inputs(view, way).values(), whole.inputs(same, way).values(), strict=True
            ):
                assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("inputs", [("lbp2",), ("intensity+lbp1+lbp3",), ("texture", "lbp2")])
def test_without_some_inputs_the_others_stay_as_they_are(inputs: tuple[str, ...]) -> None:
    fewer = prepared().seeing(inputs)
    alone = prepared(spec=replace(SPEC, inputs=inputs))
    assert fewer.spec == alone.spec
    for one, other in zip(fewer.inputs(1).items(), alone.inputs(1).items(), strict=True):
        assert one[0] == other[0]
        assert one[1].tobytes() == other[1].tobytes()
    for name in inputs:
        ours, theirs = (next(views.in_order(name, batch=9)) for views in (fewer, alone))
        assert ours.tobytes() == theirs.tobytes()
