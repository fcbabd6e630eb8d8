"""What can be trained: one row a task, by the name that its configurations and bundles give it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from export.bundle.artefacts import Artefacts
from export.config.table import read_table
from export.progress import Progress, silent
from export.tasks.classify.build import make_classifier
from export.tasks.focus.build import make_regressor
from export.tasks.match.build import make_matcher
from runtime.errors import ConfigRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A model to make: its configuration, the folder of its images if they are in one, the seed,
    the folder for checkpoints and curves.
    """

    config: Path
    data: Path | None
    seed: int
    out: Path


Maker: TypeAlias = Callable[[Order, Progress], Artefacts]


def _classifier(order: Order, progress: Progress) -> Artefacts:
    return make_classifier(
        order.config, order.data, seed=order.seed, out=order.out, progress=progress
    )


def _matcher(order: Order, progress: Progress) -> Artefacts:
    return make_matcher(order.config, order.data, seed=order.seed, out=order.out, progress=progress)


def _regressor(order: Order, progress: Progress) -> Artefacts:
    return make_regressor(
        order.config, order.data, seed=order.seed, out=order.out, progress=progress
    )


TASKS: dict[str, Maker] = {"classify": _classifier, "match": _matcher, "focus": _regressor}


def make(order: Order, progress: Progress = silent) -> Artefacts:
    """Return the trained, quantised and measured model that a configuration asks for.

    The configuration's `task` says what it is for: "classify" where it says nothing. Raises
    ConfigRefused for a task that is not among the rows.
    """
    task = read_table(order.config).get("task", "classify")
    if task not in TASKS:
        raise ConfigRefused(f"{order.config}: unknown task", value=task, limit=", ".join(TASKS))
    return TASKS[task](order, progress)
