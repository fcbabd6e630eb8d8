"""What the card of a classifying model says of its task."""

from __future__ import annotations

from collections.abc import Iterator

from export.bundle.card import Words
from export.datasets.cameras import BITS
from runtime.inference.view_input import FieldOfView, ViewInput
from runtime.preprocess.spec import TEXTURE
from runtime.tasks.classify.record import Classification

MEASURES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "log_loss": "log loss",
    "calibration_error": "calibration error",
    **{f"accuracy_{bits}_bits": f"accuracy in {bits} bits" for bits in BITS},
}
NOTES = (
    "Calibration error: the mean distance, over ten bins of the top score, of the score from",
    "the share that was right. The scores were calibrated on the validation images, so theirs",
    "flatters; the test images were used for nothing else. In 8 to 16 bits: the same images",
    "through cameras of these depths, their noise alike, white at 70 % of full scale and of",
    "30,000 electrons.",
)


def words_of(task: Classification, shown: ViewInput) -> Words:
    """Return the words for a model of these classes and this guard, which takes these views."""
    classes = " or ".join(f"**{name}**" for name in task.classes)
    return Words(
        purpose=f"Says of a tile whether it is {classes}, with a probability for each.",
        takes=tuple(_takes(shown)),
        eight_bits="every layer but the last",
        alike="decides",
        measures=MEASURES,
        notes=NOTES,
        refuses=tuple(_refuses(shown)),
        limits=tuple(_limits(task)),
    )


def _takes(shown: ViewInput) -> Iterator[str]:
    low, high = shown.pixel_size_um
    yield f"- Camera tiles of 8 to 16 bits, {low:.4g} to {high:.4g} µm/px, showing {_field(shown)}"
    yield "  or more: a larger tile is read as several such views and their scores are averaged."
    spec = shown.spec
    sampled = [name for name in spec.inputs if name != TEXTURE]
    if sampled:
        yield f"- Inputs of {spec.width_px} × {spec.height_px} px: {', '.join(sampled)}."
    if spec.counts_texture:
        cells, most = spec.texture_cells, spec.texture_points
        yield f"- Texture in {cells} × {cells} cells, counted in up to {most:,} pixels."


def _refuses(shown: ViewInput) -> Iterator[str]:
    low, high = shown.pixel_size_um
    yield f"- Pixels below {low:.4g} or above {high:.4g} µm are refused, and so are tiles that show"
    yield f"  less than {_field(shown)}."


def _field(shown: ViewInput) -> str:
    field = shown.field
    if isinstance(field, FieldOfView):
        return f"{field.width_um:.4g} × {field.height_um:.4g} µm"
    return f"{field.width_px} × {field.height_px} px"


def _limits(task: Classification) -> Iterator[str]:
    yield f"- It knows {len(task.classes)} classes; whatever else a tile shows is called one"
    yield "  of them."
    if task.trust is None:
        yield "- It has no guard: tiles unlike its training are labelled like any other."
        return
    yield "- Tiles unlike its training (blank, another specimen, another contrast, sharpness or"
    yield "  exposure) and labels it is unsure of are marked as doubted, not left out;"
    yield f"  {task.trust.false_alarms:.1%} of the validation views were, recorded by many cameras"
    yield "  of 8 to 16 bits. What is strange in its shapes alone is not noticed."
