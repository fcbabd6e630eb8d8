"""The model card: what a model is, what it was made of, how good it is and what it cannot do.

The headings follow Mitchell et al. 2019, doi:10.1145/3287560.3287596, as far as they fit a tile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from export.bundle.guard import FittedGuard
from runtime.preprocess.spec import PreprocessSpec

SETS = {"": "validation", "test_": "test"}
NUMBERS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "log_loss": "log loss",
    "calibration_error": "calibration error",
}


def model_card(about: Mapping[str, Any], guard: FittedGuard | None, *, remarks: str = "") -> str:
    """Return the card, in Markdown, of a model whose manifest fields are `about`.

    `remarks` is what only its makers know: what the classes mean, what was seen to fail. It stands
    first under what the model cannot do.
    """
    sections = (
        [f"# {about['name']} {about['version']}", "", _purpose(about)],
        ["## What it takes", "", *_takes(about)],
        ["## How it is made", "", *_made(about)],
        ["## How good it is", "", *_quality(about)],
        ["## What it cannot do", "", *_limits(about, guard, remarks)],
    )
    return "\n".join("\n".join([*section, ""]) for section in sections)


def _purpose(about: Mapping[str, Any]) -> str:
    classes = " or ".join(f"**{name}**" for name in about["classes"])
    return f"Says of a tile whether it is {classes}, with a probability for each."


def _takes(about: Mapping[str, Any]) -> Iterator[str]:
    low, high = about["pixel_size_um"]
    spec = PreprocessSpec.from_json(about["preprocessing"])
    yield f"- Camera tiles of 8 to 16 bits, {low:.4g} to {high:.4g} µm/px, showing {_field(about)}"
    yield "  or more: a larger tile is read as several such views and their scores are averaged."
    yield f"- Inputs of {spec.width_px} × {spec.height_px} px: {', '.join(spec.inputs)}."


def _made(about: Mapping[str, Any]) -> Iterator[str]:
    training, quantisation = about["training"], about.get("quantisation", {})
    kept = quantisation.get("kept_fp32", [])
    rows = {
        "data": training["data"],
        "licence of the data": training["licence"],
        "split, by specimen": training["split"],
        "seed": ", ".join(map(str, training["seeds"])),
        "int8": "every layer but the last" if not kept else f"all but {', '.join(kept)}",
    }
    yield from ("| | |", "|---|---|")
    yield from (f"| {name} | {value} |" for name, value in rows.items())


def _quality(about: Mapping[str, Any]) -> Iterator[str]:
    metrics = about["metrics"]
    precisions = list(metrics)
    yield f"| images | measure | {' | '.join(precisions)} |"
    yield "|---|---|" + "---|" * len(precisions)
    for prefix, images in SETS.items():
        for key, words in NUMBERS.items():
            values = [metrics[precision].get(prefix + key) for precision in precisions]
            if all(value is not None for value in values):
                cells = " | ".join(f"{value:.3f}" for value in values)
                yield f"| {images} ({_count(metrics, prefix)}) | {words} | {cells} |"
    yield ""
    for prefix, images in SETS.items():
        agreement = metrics.get("int8", {}).get(f"{prefix}agreement")
        if agreement is not None:
            yield f"Int8 decides {agreement:.1%} of the {images} images as fp32 does."
    yield ""
    yield "Calibration error: the mean distance, over ten bins of the top score, of the score from"
    yield "the share that was right. The scores were calibrated on the validation images, so theirs"
    yield "flatters; the test images were used for nothing else."


def _limits(about: Mapping[str, Any], guard: FittedGuard | None, remarks: str) -> Iterator[str]:
    low, high = about["pixel_size_um"]
    if remarks.strip():
        yield remarks.strip()
    yield f"- It knows {len(about['classes'])} classes; whatever else a tile shows is called one"
    yield "  of them."
    yield f"- Pixels below {low:.4g} or above {high:.4g} µm are refused, and so are tiles that show"
    yield f"  less than {_field(about)}."
    yield f"- It has seen only what is named above ({about['training']['split']}). Another"
    yield "  instrument, detector, stain or material: evaluate before use, or train anew."
    if guard is None:
        yield "- It has no guard: tiles unlike its training are labelled like any other."
    else:
        yield "- Tiles unlike its training (contrast, sharpness, saturation, blank) are marked as"
        yield f"  doubted, not left out; {guard.false_alarms:.1%} of the validation views were."
        yield "  What is strange in its shapes alone is not noticed."


def _field(about: Mapping[str, Any]) -> str:
    field = about.get("field_um")
    if field is not None:
        return f"{field['width_um']:.4g} × {field['height_um']:.4g} µm"
    field = about["field_px"]
    return f"{field['width_px']} × {field['height_px']} px"


def _count(metrics: Mapping[str, Any], prefix: str) -> int:
    return int(next(iter(metrics.values())).get(f"{prefix}tiles", 0))
