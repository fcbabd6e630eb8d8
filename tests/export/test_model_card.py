"""A model card says what the manifest says, in words a microscopist reads."""

from __future__ import annotations

import numpy as np

from export.bundle.card import model_card
from export.bundle.guard import FittedGuard
from runtime.preprocess.spec import PreprocessSpec

ABOUT = {
    "name": "stripes",
    "version": "1.2.0",
    "classes": ["plain", "striped"],
    "pixel_size_um": [0.45, 0.55],
    "field_um": {"height_um": 224.0, "width_um": 256.0},
    "preprocessing": PreprocessSpec(inputs=("intensity", "lbp1")).to_json(),
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
GUARD = FittedGuard(
    mean=np.zeros(2), whitening=np.eye(2), limit=5.0, blank_limit=0.98, false_alarms=0.012
)


def test_the_card_holds_the_manifest():
    card = model_card(ABOUT, GUARD)
    for said in (
        "# stripes 1.2.0",
        "**plain** or **striped**",
        "0.45 to 0.55 µm/px",
        "256 × 224 µm",
        "intensity, lbp1",
        "| licence of the data | CC0 |",
        "| seed | 3 |",
        "all but Conv_7",
        "| validation (40) | accuracy | 0.900 | 0.800 |",
        "| accuracy | 0.875 | 0.750 |",
        "1.2% of the validation views",
        "Int8 decides 92.5% of the validation images as fp32 does.",
    ):
        assert said in card


def test_measures_that_were_not_taken_have_no_row():
    assert "| log loss |" not in model_card(ABOUT, GUARD)


def test_a_model_without_guard_says_so():
    card = model_card(ABOUT, None, remarks="- Torn sections were never seen.\n")
    assert "It has no guard" in card
    assert card.index("Torn sections") > card.index("## What it cannot do")


def test_a_field_in_pixels():
    plain = {key: value for key, value in ABOUT.items() if key != "field_um"}
    card = model_card(plain | {"field_px": {"height_px": 481, "width_px": 481}}, GUARD)
    assert "481 × 481 px" in card


def test_nothing_kept_in_fp32():
    assert "every layer but the last" in model_card(ABOUT | {"quantisation": {}}, GUARD)
