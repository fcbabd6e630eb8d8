"""A model card says what the manifest says, in words a microscopist reads."""

from __future__ import annotations

from export.bundle.card import model_card, with_remarks
from export.tasks.classify.words import words_of
from runtime.inference.view_input import ViewInput
from runtime.preprocess.spec import PreprocessSpec
from runtime.tasks.classify.record import Classification, Trust

INPUT = {
    "pixel_size_um": [0.45, 0.55],
    "field_um": {"height_um": 224.0, "width_um": 256.0},
    "preprocessing": PreprocessSpec(inputs=("intensity", "lbp1")).to_json(),
    "lut": "lbp_mds.npy",
}
SHOWN = ViewInput.model_validate(INPUT)
ORIGIN = {
    "training": {"data": "noise", "licence": "CC0", "split": "by specimen 7/2/2", "seeds": [3]},
    "quantisation": {"kept_fp32": ["Conv_7"]},
    "metrics": {
        "fp32": {"accuracy": 0.9, "calibration_error": 0.02, "tiles": 40.0, "test_accuracy": 0.875},
        "int8": {
            "accuracy": 0.8,
            "agreement": 0.925,
            "calibration_error": 0.03,
            "tiles": 40.0,
            "test_accuracy": 0.75,
        },
    },
}
ABOUT = {
    "name": "stripes",
    "version": "1.2.0",
    "input": INPUT,
    "origin": ORIGIN,
}
TASK = Classification(
    classes=("plain", "striped"),
    trust=Trust(
        descriptor=3,
        mean="m",
        whitening="w",
        specimen_whitening="s",
        towards="t",
        limit=5.0,
        specimen_limit=4.0,
        foreign_limit=2.0,
        blank_limit=0.98,
        least_score=0.7,
        false_alarms=0.012,
    ),
)


def test_the_card_holds_the_manifest():
    card = model_card(ABOUT, words_of(TASK, SHOWN))
    for said in (
        "# stripes 1.2.0",
        "**plain** or **striped**",
        "0.45 to 0.55 µm/px",
        "256 × 224 µm",
        "intensity, lbp1",
        "| licence of the data | CC0 |",
        "| seed | 3 |",
        "| int8 | every layer but the last, and not Conv_7 |",
        "| validation (40) | accuracy | 0.900 | 0.800 |",
        "| accuracy | 0.875 | 0.750 |",
        "1.2% of the validation views",
        "Int8 decides 92.5% of the validation images as fp32 does.",
    ):
        assert said in card


def test_measures_that_were_not_taken_have_no_row():
    assert "| log loss |" not in model_card(ABOUT, words_of(TASK, SHOWN))


def test_a_model_without_guard_says_so():
    card = model_card(ABOUT, words_of(TASK.model_copy(update={"trust": None}), SHOWN))
    assert "It has no guard" in card


def test_remarks_stand_first_under_what_it_cannot_do():
    card = model_card(ABOUT, words_of(TASK, SHOWN))
    said = with_remarks(card, "- Torn sections were never seen.\n")
    assert "## What it cannot do\n\n- Torn sections were never seen.\n- Pixels below" in said
    assert with_remarks(card, " \n") == card


def test_a_field_in_pixels():
    shown = {key: value for key, value in INPUT.items() if key != "field_um"}
    shown |= {"field_px": {"height_px": 481, "width_px": 481}}
    card = model_card(ABOUT | {"input": shown}, words_of(TASK, ViewInput.model_validate(shown)))
    assert "481 × 481 px" in card


def test_nothing_kept_in_fp32():
    origin = ORIGIN | {"quantisation": None}
    assert "| int8 | every layer but the last |" in model_card(
        ABOUT | {"origin": origin}, words_of(TASK, SHOWN)
    )


def test_texture_is_told_by_its_cells():
    spec = PreprocessSpec(inputs=("intensity", "texture"), texture_cells=6)
    shown = SHOWN.model_copy(update={"preprocessing": spec.to_json()})
    card = model_card(ABOUT, words_of(TASK, shown))
    assert "px: intensity.\n" in card
    assert "- Texture in 6 × 6 cells, counted in up to 524,288 pixels." in card
