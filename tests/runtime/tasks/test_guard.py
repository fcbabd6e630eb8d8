"""What a tile looks like in numbers, and whether the model is to be believed on it."""

import csv
from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest

from runtime.config.settings import SHIPPED_MODELS
from runtime.errors import ModelRefused
from runtime.inference.bundle import open_bundle
from runtime.inference.view_input import ViewInput
from runtime.offline.classify import classify_folder
from runtime.preprocess.inputs import sample
from runtime.preprocess.spec import PreprocessSpec
from runtime.tasks.classify.classifier import TileClassifier
from runtime.tasks.classify.descriptor import FEATURES, KIND, SPECIMEN, UNIFORM, USUAL, describe
from runtime.tasks.classify.descriptor import GROUPS as NAMES
from runtime.tasks.classify.guard import (
    FOREIGN,
    HALF_EMPTY,
    REASONS,
    UNSURE,
    Evidence,
    Guard,
    Verdict,
)
from runtime.tasks.registry import RECORDS
from runtime.tile import BLANK_DOUBT, Picture

SPEC = PreprocessSpec()
GROUPS = np.array(NAMES)
FULL_SCALE = 4095


def picture(*, seed: int = 0) -> np.ndarray:
    """Return (448, 512) uint16 blobs of several sizes with noise, in the middle of the range."""
    return blobs(seed).copy()


@cache
def blobs(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft2(rng.standard_normal((448, 512)))
    frequency = np.hypot(np.fft.fftfreq(448)[:, None], np.fft.rfftfreq(512)[None, :])
    smooth = np.fft.irfft2(spectrum / (frequency + 0.01) ** 1.5)
    scaled = 2000 + 400 * (smooth / smooth.std()) + 8 * rng.standard_normal(smooth.shape)
    return np.clip(scaled, 0, FULL_SCALE).astype(np.uint16)


def noise(level: float = 2000) -> np.ndarray:
    return np.random.default_rng(3).normal(level, 20, (448, 512)).astype(np.uint16)


def features(pixels: np.ndarray, **options: np.ndarray) -> np.ndarray:
    return describe(pixels, sample(pixels, SPEC, counted=True), SPEC, **options).features


def blankness(pixels: np.ndarray, spec: PreprocessSpec = SPEC) -> float:
    return describe(pixels, sample(pixels, spec, counted=True), spec).blankness


@cache
def guard() -> Guard:
    """Return a guard that knows one picture and takes every feature for equally telling, and more
    of the first codes of single pixels for foreign.
    """
    return Guard(
        spec=SPEC,
        mean=features(picture()),
        whitening=np.eye(len(GROUPS)) / 0.05,
        specimen_whitening=np.eye(int(SPECIMEN.sum())) / 0.05,
        towards=np.eye(int(KIND.sum()))[SPECIMEN.sum()],
        limit=8.0,
        specimen_limit=8.0,
        foreign_limit=1.0,
        blank_limit=0.98,
        least_score=0.7,
    )


def judge(pixels: np.ndarray, *, raw: np.ndarray | None = None, score: float = 1.0) -> Verdict:
    sampled = sample(pixels, SPEC, counted=True)
    return guard().judge([guard().look(pixels, sampled, raw=raw)], score=score)


def evidence(squares: np.ndarray, *, specimen: float = 0.0, foreign: float = 0.0) -> Evidence:
    return Evidence(
        features=np.zeros(FEATURES),
        squares=squares,
        specimen=specimen,
        foreign=foreign,
        blankness=0.1,
    )


@pytest.mark.parametrize("name", ["picture", "constant", "noise", "black", "tiny", "uint8"])
def test_every_tile_has_finite_features(name):
    tiles = {
        "picture": picture(),
        "constant": np.full((300, 200), 7, np.uint16),
        "noise": noise(),
        "black": np.zeros((64, 64), np.uint8),
        "tiny": np.arange(12, dtype=np.uint16).reshape(3, 4),
        "uint8": (picture() >> 4).astype(np.uint8),
    }
    found = features(tiles[name])
    assert found.shape == (FEATURES,)
    assert np.isfinite(found).all()


def test_the_same_tile_gives_the_same_bits():
    assert features(picture()).tobytes() == features(picture().copy()).tobytes()


def test_gain_hardly_matters():
    assert np.abs(features(picture()) - features(picture() * np.uint16(4))).max() < 0.02


def test_turning_hardly_matters_to_what_tells_of_the_specimen():
    pixels = picture()[:448, :448]
    away = features(pixels) - features(np.ascontiguousarray(np.rot90(pixels)))
    assert np.abs(away[USUAL][SPECIMEN]).max() < 0.03


@pytest.mark.parametrize("bits", [8, 10, 16])
def test_the_depth_hardly_matters_to_what_tells_of_the_specimen(bits):
    """The texture of the finest maps does change: 8 bits have ties that 12 have not."""
    pixels = picture()
    numbers = np.rint(pixels / FULL_SCALE * (2**bits - 1))
    other = numbers.astype(np.uint8 if bits == 8 else np.uint16)
    away = np.abs(features(other) - features(pixels))
    assert away[KIND].max() < 0.05


def test_uniform_codes_do_not_change_when_the_ring_turns():
    codes = np.arange(256)
    assert (UNIFORM[(codes << 1 | codes >> 7) & 255] == UNIFORM).all()
    assert np.bincount(UNIFORM).tolist() == [1, 8, 8, 8, 8, 8, 8, 8, 1, 198]


def test_share_of_pixels_at_either_end():
    pixels = picture()
    pixels[:112] = FULL_SCALE
    pixels[448 - 28 :] = 0
    found = np.sin(features(pixels)[:2]) ** 2
    assert found == pytest.approx([112 / 448, 28 / 448], abs=0.01)


def test_saturation_is_seen_before_the_flat_field_smears_it():
    raw = picture()
    raw[:200] = FULL_SCALE
    gain = 1 + 0.1 * np.random.default_rng(1).random(raw.shape)
    corrected = (raw * gain).astype(np.uint16)
    assert features(corrected)[0] < 0.1
    assert features(corrected, raw=raw)[0] > 0.5


@pytest.mark.parametrize(
    ("pixels", "blank"),
    [(noise(), True), (np.full((448, 512), 900, np.uint16), True), (picture(), False)],
)
def test_blankness(pixels, blank):
    assert (blankness(pixels) > 0.97) == blank
    assert blank or blankness(pixels) < 0.5


def test_a_tile_like_training_is_trusted():
    verdict = judge(picture(seed=1))
    assert verdict.doubt == ""
    assert verdict.strangeness < 1


@pytest.mark.parametrize(("name", "value"), [("saturated", FULL_SCALE), ("black", 0)])
def test_clipped_pixels_are_named(name, value):
    raw = picture()
    raw[:160] = value
    verdict = judge(picture(), raw=raw)
    assert verdict.strangeness > 1
    assert (verdict.doubt, verdict.about) == (REASONS[name], "specimen")


def test_a_blank_is_named_whatever_else_is_strange():
    verdict = judge(noise(), score=0.1)
    assert (verdict.doubt, verdict.about) == (BLANK_DOUBT, "specimen")


def test_a_label_of_a_low_score_is_doubted_for_it_and_no_other():
    assert judge(picture(), score=0.69).doubt == UNSURE
    assert judge(picture(), score=0.69).about == "score"
    assert judge(picture(), score=0.7).doubt == ""


@pytest.mark.parametrize("group", sorted(set(GROUPS)))
def test_the_largest_part_of_the_distance_names_the_reason(group):
    squares = np.ones(len(GROUPS))
    squares[group == GROUPS] = 1000
    of_specimen = bool(SPECIMEN[group == GROUPS].all())
    found = guard().judge([evidence(squares, specimen=1000.0 * of_specimen)], score=1.0)
    points = group.removeprefix("texture ")
    assert found.doubt == REASONS.get(group, f"texture unlike training at {points} points")
    clipped = group in ("saturated", "black")
    assert found.about == ("specimen" if of_specimen or clipped else "instrument")


def test_the_emptier_a_view_the_more_its_texture_may_vary():
    """Half as much shown is half the square, of the specimen's features and of no others."""
    full, empty = (
        guard().look(pixels, sample(pixels, SPEC, counted=True))
        for pixels in (picture(seed=2), half_empty())
    )
    whitened = (guard().whitening @ (empty.features - guard().mean)[USUAL]) ** 2
    shown = (1 - empty.blankness) / (1 - HALF_EMPTY)
    assert full.blankness < HALF_EMPTY < empty.blankness
    assert empty.squares[SPECIMEN] == pytest.approx(shown * whitened[SPECIMEN])
    assert empty.squares[~SPECIMEN] == pytest.approx(whitened[~SPECIMEN])


def half_empty() -> np.ndarray:
    pixels = noise()
    pixels[:, :60] = picture(seed=2)[:, :60]
    return pixels


def test_a_specimen_is_doubted_only_for_its_own_features():
    squares = np.where(SPECIMEN, 10.0, 3.0)
    found = guard().judge([evidence(squares, specimen=10.0)], score=1.0)
    assert found.about == "instrument"
    assert guard().judge([evidence(squares, specimen=100.0)], score=1.0).about == "specimen"


def test_what_lies_towards_other_kinds_is_doubted_for_the_specimen():
    usual, some = np.zeros(len(GROUPS)), np.where(SPECIMEN, 3.0, 1.0)
    far = evidence(usual, foreign=1.5)
    assert guard().judge([far], score=1.0) == Verdict(
        strangeness=1.5, doubt=FOREIGN, about="specimen"
    )
    assert guard().judge([far, evidence(usual)], score=1.0).doubt == ""
    # What is stranger by its distance is doubted for that, and for the specimen all the same.
    both = guard().judge([evidence(some, foreign=1.1)], score=1.0)
    assert (both.doubt.startswith("more like"), both.about) == (False, "specimen")
    assert guard().judge([evidence(some)], score=1.0).about == "instrument"


def test_the_further_towards_what_is_foreign_the_stranger():
    away = np.zeros(FEATURES)
    first = np.flatnonzero(KIND)[SPECIMEN.sum()]
    away[first] = 0.4
    moved = replace(guard(), mean=guard().mean - away)
    seen = moved.look(picture(), sample(picture(), SPEC, counted=True))
    assert seen.foreign == pytest.approx(0.4)
    assert first >= len(GROUPS)


def test_codes_of_single_pixels_tell_what_the_maps_average_away():
    """A grain that cancels in every block of 2 x 2 pixels, which is one point of the map."""
    pixels = picture()
    rows, columns = np.indices(pixels.shape)
    grain = np.where((rows + columns) % 2, 60, -60)
    away = np.abs(features((pixels + grain).astype(np.uint16)) - features(pixels))
    assert away[len(GROUPS) :].max() > 0.03
    assert away[USUAL][SPECIMEN].max() < 0.002


def test_a_view_whose_texture_was_not_counted_cannot_be_described():
    with pytest.raises(ValueError, match="counted=True"):
        describe(picture(), sample(picture(), SPEC), SPEC)


def test_one_strange_view_counts_but_many_usual_ones_do_not_add_up():
    usual = evidence(np.full(len(GROUPS), 0.5))
    strange = evidence(np.full(len(GROUPS), 20.0))
    assert guard().judge([usual] * 16, score=1.0).doubt == ""
    assert guard().judge([usual] * 16 + [strange], score=1.0).doubt != ""


def _seen(pixels: np.ndarray) -> Picture:
    return Picture(pixels=pixels, pixel_size_um=0.5)


def _with_guard(forge, *, mean: np.ndarray | None = None):
    watch = guard()
    arrays = {
        "m.npy": watch.mean if mean is None else mean,
        "w.npy": watch.whitening,
        "s.npy": watch.specimen_whitening,
        "t.npy": watch.towards,
    }
    for name, array in arrays.items():
        forge.replace_array(name, array)
    forge.manifest["task"]["trust"] = {
        "descriptor": 3,
        "mean": "m.npy",
        "whitening": "w.npy",
        "specimen_whitening": "s.npy",
        "towards": "t.npy",
        "limit": watch.limit,
        "specimen_limit": watch.specimen_limit,
        "foreign_limit": watch.foreign_limit,
        "blank_limit": watch.blank_limit,
        "least_score": 0.0,
        "false_alarms": 0.01,
    }
    return forge.write()


def test_the_classifier_judges_with_the_bundles_guard(forge, shipped):
    path = _with_guard(forge)
    classifier = TileClassifier.open(path, keys=forge.keys, backend="onnxruntime")
    usual, strange = (classifier.classify(_seen(pixels)) for pixels in (picture(), noise()))
    assert usual.trusted
    blank = blankness(picture(), shipped.input(ViewInput).spec)
    assert usual.strangeness == pytest.approx(blank / 0.98)
    assert strange.doubt == BLANK_DOUBT


def test_the_classifier_looks_at_the_raw_tile_for_saturation(forge):
    path = _with_guard(forge)
    classifier = TileClassifier.open(path, keys=forge.keys, backend="onnxruntime")
    raw = picture()
    raw[:160] = FULL_SCALE
    label = classifier.classify(_seen(picture()), raw=raw)
    assert label.doubt == REASONS["saturated"]


def test_a_bundle_without_a_guard_doubts_nothing(forge):
    forge.manifest["task"]["trust"] = None
    classifier = TileClassifier.open(forge.write(), keys=forge.keys, backend="onnxruntime")
    label = classifier.classify(_seen(noise()))
    assert (label.strangeness, label.doubt, label.trusted) == (None, "", True)


@pytest.mark.parametrize(
    "mean", [np.zeros(len(GROUPS)), np.full(FEATURES, np.nan), np.zeros(FEATURES, np.float32)]
)
def test_a_guard_that_does_not_fit_is_refused(forge, mean):
    bundle = open_bundle(_with_guard(forge, mean=mean), keys=forge.keys, tasks=RECORDS)
    with pytest.raises(ModelRefused, match=r"m\.npy does not fit the descriptor"):
        Guard.of(bundle)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 64), (96, 3)])
def test_groups_cover_the_descriptor_of_any_map(height, width):
    spec = PreprocessSpec(height_px=height, width_px=width, inputs=("intensity",))
    pixels = picture()[:64, :64]
    found = describe(pixels, sample(pixels, spec, counted=True), spec).features
    assert found.shape == (FEATURES,)
    assert found[USUAL].shape == GROUPS.shape
    assert np.isfinite(found).all()


def test_the_table_of_a_folder_says_which_labels_are_in_doubt(shipped, choices, tmp_path):
    # Of tissue: resin that is overexposed is blank.
    (golden,) = shipped.pictures(3)
    for name, pixels in {"golden": golden, "blank": noise()}.items():
        cv2.imwrite(str(tmp_path / f"{name}.png"), pixels)
    out, keys = tmp_path / "labels.csv", SHIPPED_MODELS / "keys"
    summary = classify_folder(tmp_path, model=shipped.path, keys=keys, out=out, cache=choices)
    blank, usual = csv.DictReader(out.read_text().splitlines())
    assert (blank["file"], blank["doubt"], usual["doubt"]) == ("blank.png", BLANK_DOUBT, "")
    assert float(blank["strangeness"]) > 1 > float(usual["strangeness"])
    # What is empty is an answer, and no fault.
    assert (summary["blank"], summary["doubted"], summary["exit_code"]) == (1, 0, 0)
    assert "1 image blank: nothing to label (column doubt)" in summary["ending"].left_out
    cv2.imwrite(str(tmp_path / "overexposed.png"), np.minimum(4 * golden, FULL_SCALE))
    summary = classify_folder(tmp_path, model=shipped.path, keys=keys, out=out, cache=choices)
    doubt = REASONS["saturated"]
    assert (summary["doubted"], summary["doubts"], summary["exit_code"]) == (1, {doubt: 1}, 5)
    assert summary["ending"].attention == (f"1 label not to be trusted (column doubt): 1 {doubt}",)
