"""The tasks that a bundle may be for: one row each, and a room of its own beside this file.

A bundle of any other task is refused by name when it is opened. To add one: a room with its
record and its work, and a row here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from runtime.inference.opening import Model
from runtime.inference.task import Records, TaskRecord, Work
from runtime.tasks.classify.classifier import TileClassifier
from runtime.tasks.classify.record import Classification
from runtime.tasks.focus.record import Defocusing
from runtime.tasks.focus.regressor import DefocusRegressor
from runtime.tasks.match.matcher import StripMatcher
from runtime.tasks.match.record import Matching


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRow:
    """What the manifest holds of a task, and how a model of it works.

    `work` takes the opened model and how many threads prepare a picture.
    """

    record: type[TaskRecord]
    work: Callable[[Model, int], Work[Any, Any]]


TASKS: dict[str, TaskRow] = {
    "classify": TaskRow(
        record=Classification,
        work=lambda model, threads: TileClassifier(model, threads=threads).work,
    ),
    "match": TaskRow(record=Matching, work=lambda model, _: StripMatcher(model).work),
    "focus": TaskRow(record=Defocusing, work=lambda model, _: DefocusRegressor(model).work),
}
RECORDS: Records = {kind: task.record for kind, task in TASKS.items()}


def work_of(model: Model, *, threads: int) -> Work[Any, Any]:
    """Return a model at work, whatever its task."""
    return TASKS[model.bundle.manifest.task.kind].work(model, threads)
