"""What a bundle's manifest says of a model that classifies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from runtime.config.strict import Strict
from runtime.inference.task import ModelInput, TaskRecord
from runtime.inference.view_input import ViewInput

# The network's output: (1, classes) float32 that sum to 1.
SCORES = "scores"


class Trust(Strict):
    """The guard's numbers: see `runtime.tasks.classify.guard`.

    `mean`, `whitening`, `specimen_whitening` and `towards` name .npy files over descriptor
    `descriptor`; a tile further than `limit` from the mean, further than `specimen_limit` by the
    specimen's features alone, further than `foreign_limit` towards what is foreign, or blanker than
    `blank_limit`, is doubted, and so is a label whose score is below `least_score`. `false_alarms`
    is the share of validation views that lay beyond a limit.
    """

    descriptor: Literal[3]
    mean: str
    whitening: str
    specimen_whitening: str
    towards: str
    limit: Annotated[float, Field(gt=0)]
    specimen_limit: Annotated[float, Field(gt=0)]
    foreign_limit: Annotated[float, Field(gt=0)]
    blank_limit: Annotated[float, Field(gt=0)]
    least_score: Annotated[float, Field(ge=0, lt=1)]
    false_alarms: Annotated[float, Field(ge=0, le=1)]


class Classification(TaskRecord):
    """The classes in the order of the scores, and the guard, if the model has one."""

    OUTPUTS: ClassVar[Mapping[str, float]] = {SCORES: 0.5}
    MEASURE: ClassVar[str] = "accuracy"
    INPUT: ClassVar[type[ModelInput]] = ViewInput

    kind: Literal["classify"] = "classify"
    classes: Annotated[tuple[str, ...], Field(min_length=2)]
    trust: Trust | None = None

    def files(self) -> tuple[str, ...]:
        """Return the files of the guard."""
        trust = self.trust
        if trust is None:
            return ()
        return trust.mean, trust.whitening, trust.specimen_whitening, trust.towards

    def answers(self) -> str:
        """Return the classes."""
        return ", ".join(self.classes)
