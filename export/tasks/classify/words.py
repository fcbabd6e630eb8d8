"""What the card of a classifying model says of its task."""

from __future__ import annotations

from collections.abc import Iterator

from export.bundle.card import Words
from runtime.tasks.classify.record import Classification

MEASURES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "log_loss": "log loss",
    "calibration_error": "calibration error",
}
NOTES = (
    "Calibration error: the mean distance, over ten bins of the top score, of the score from",
    "the share that was right. The scores were calibrated on the validation images, so theirs",
    "flatters; the test images were used for nothing else.",
)


def words_of(task: Classification) -> Words:
    """Return the words for a model of these classes and this guard."""
    classes = " or ".join(f"**{name}**" for name in task.classes)
    return Words(
        purpose=f"Says of a tile whether it is {classes}, with a probability for each.",
        larger="a larger tile is read as several such views and their scores are averaged",
        alike="decides",
        measures=MEASURES,
        notes=NOTES,
        limits=tuple(_limits(task)),
    )


def _limits(task: Classification) -> Iterator[str]:
    yield f"- It knows {len(task.classes)} classes; whatever else a tile shows is called one"
    yield "  of them."
    if task.trust is None:
        yield "- It has no guard: tiles unlike its training are labelled like any other."
        return
    yield "- Tiles unlike its training (contrast, sharpness, saturation, blank) are marked as"
    yield f"  doubted, not left out; {task.trust.false_alarms:.1%} of the validation views were."
    yield "  What is strange in its shapes alone is not noticed."
