"""What every back end offers: one small protocol, and the names of what can be chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from numpy.typing import NDArray

from runtime.errors import InferenceStalled, ModelRefused
from runtime.inference.manifest import Precision
from runtime.preprocess.inputs import Inputs

Backend = Literal["onnxruntime", "openvino"]
Layout = Literal["together", "parallel"]
BACKENDS: tuple[Backend, ...] = ("onnxruntime", "openvino")
LAYOUTS: tuple[Layout, ...] = ("together", "parallel")
# By name, the tensors that a graph gives out, as it makes them.
Outputs = dict[str, NDArray[Any]]
# A tile takes seconds at the very most; one that is not through by then never will be, and the run
# shall end with a reason rather than hang.
LIMIT_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which back end runs which precision, and how the graph's branches share the threads.

    "together": one branch after the other, each on all threads. "parallel": the branches side by
    side, one thread each.
    """

    backend: Backend
    precision: Precision
    layout: Layout = "together"

    def __str__(self) -> str:
        return f"{self.backend} {self.precision} {self.layout}"


class Session(Protocol):
    """A loaded network; not for several threads at once."""

    def run(self, inputs: Inputs) -> Outputs:
        """Return the graph's outputs by name; they are the caller's own.

        Raises InferenceStalled when there are none after LIMIT_S.
        """


def unloadable(backend: Backend, reason: object) -> ModelRefused:
    """Return the refusal of a model that a back end cannot load, on one line."""
    line = " ".join(str(reason).split())
    return ModelRefused(
        f"{backend} cannot load the model: {line}", remedy="choose another models.backend"
    )


def stalled(backend: Backend, *, limit_s: float) -> InferenceStalled:
    """Return what to raise when a back end was given up on."""
    other = next(name for name in BACKENDS if name != backend)
    return InferenceStalled(
        f"back end {backend} gave no answer for a tile",
        value="still under way",
        limit=f"{limit_s:g} s",
        remedy="check that the machine is not out of memory or overloaded, then run again, "
        f"with models.backend set to '{other}' if it recurs",
    )
