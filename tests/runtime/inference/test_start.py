from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from runtime.config.settings import SHIPPED_MODELS
from runtime.errors import ModelRefused
from runtime.inference.backends import backends
from runtime.inference.bundle import Bundle
from runtime.inference.opening import open_model
from runtime.inference.session import Backend, Choice
from runtime.tasks.classify.classifier import TileClassifier
from runtime.tasks.registry import RECORDS

if TYPE_CHECKING:
    Forge = Any


@pytest.mark.parametrize("pinned", [None, Choice(backend="onnxruntime", precision="fp32")])
def test_a_model_that_answers_differently_here_never_starts(
    forge: Forge, pinned: Choice | None
) -> None:
    for precision in ("int8", "fp32"):
        name = f"golden/0.{precision}.scores.npy"
        forge.replace_array(name, np.array([[0.5, 0.5]], np.float32))
    path = forge.write()
    with pytest.raises(ModelRefused, match="comes out differently on onnxruntime"):
        TileClassifier.open(path, keys=forge.keys, backend="onnxruntime", choice=pinned)


def test_a_pinned_choice_is_taken_as_it_is(shipped: Bundle) -> None:
    pinned = Choice(backend="onnxruntime", precision="fp32")
    classifier = TileClassifier.open(shipped.path, keys=SHIPPED_MODELS / "keys", choice=pinned)
    assert classifier.choice == pinned


@pytest.mark.parametrize("backend", backends())
def test_weights_that_a_session_has_are_not_held_twice(shipped: Bundle, backend: Backend) -> None:
    model = open_model(
        shipped.path,
        keys=SHIPPED_MODELS / "keys",
        tasks=RECORDS,
        choice=Choice(backend=backend, precision="int8"),
    )
    gone = {name for name in shipped.files if name.endswith((".onnx", ".xml", ".bin"))}
    assert len(gone) == 4
    assert model.bundle.files == {k: v for k, v in shipped.files.items() if k not in gone}
    assert model.session.run(model.bundle.inputs(1))["scores"].shape == (1, 2)
