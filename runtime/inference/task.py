"""What a task is to the layers below it: a record in the manifest, and a model at work.

What an answer means is known in `runtime/tasks` alone, which lists the tasks there are; here are
only tensors with names.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from numpy.typing import NDArray

from runtime.config.strict import Strict
from runtime.preprocess.inputs import Inputs
from runtime.tile import Picture, Pixels

Prepared = TypeVar("Prepared")
Answer = TypeVar("Answer")


# Reads one .npy file of the bundle.
ReadArray = Callable[[str], NDArray[Any]]


class ModelInput(Strict, ABC):
    """The part of a manifest that says what the network takes.

    `pixel_size_um` is the closed range it was trained for, None where it does not matter.
    """

    pixel_size_um: tuple[float, float] | None = None

    @property
    def middle_um(self) -> float:
        """Return the middle of the pixel sizes, 1 where any will do."""
        return 1.0 if self.pixel_size_um is None else sum(self.pixel_size_um) / 2

    def files(self) -> tuple[str, ...]:
        """Return the files of the bundle that it names."""
        return ()

    @abstractmethod
    def inputs(self, pictures: Sequence[Pixels], array: ReadArray) -> Inputs:
        """Return the network's inputs for one answer's pictures; `array` reads `files`."""


class TaskRecord(Strict):
    """The part of a manifest that its task alone understands.

    A subclass narrows `kind` to the task's name and adds its own fields.
    """

    # The tensors that the task reads of the network, each with the largest tolerance with which a
    # golden example still proves something.
    OUTPUTS: ClassVar[Mapping[str, float]]
    # Of the metrics, the one by which models of the task are compared.
    MEASURE: ClassVar[str]
    # Of several ways to run it, those no slower than this many times the fastest are as good.
    ABOUT_AS_FAST: ClassVar[float] = 1.25
    # How many pictures an answer is about.
    PICTURES: ClassVar[int] = 1
    # How the network's inputs are described and made.
    INPUT: ClassVar[type[ModelInput]]

    kind: str

    def files(self) -> tuple[str, ...]:
        """Return the files of the bundle that the record names."""
        return ()

    def answers(self) -> str:
        """Return in a few words what such a model can say, for a list of models."""
        return ""


# By the name a manifest uses, the record of every task that can run.
Records = Mapping[str, type[TaskRecord]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work(Generic[Prepared, Answer]):
    """A model ready to answer, in two steps: the next pictures can be prepared while one is
    answered.

    `prepare` may run on several threads, `answer` on one at a time.
    """

    prepare: Callable[[Sequence[Picture]], Prepared]
    answer: Callable[[Prepared], Answer]
