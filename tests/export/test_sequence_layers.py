"""Fully connected layers over a sequence: constant in the graph, and int8 on the device."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

pytest.importorskip("torch")

import onnx
import torch
from torch import Tensor, nn

from export.convert.graph import to_onnx
from export.convert.parts import VOTE, ModelParts
from export.quantise import to_int8
from runtime.inference.backends import open_session
from runtime.inference.session import BACKENDS

pytestmark = pytest.mark.export
CELLS, WIDTH = 24, 16
SAID = VOTE + "cells"


class Attentive(nn.Module):
    """A convolution, then cells that are mixed, normalised and added to what they were."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Conv2d(1, WIDTH, 1)
        self.mix = nn.Linear(WIDTH, WIDTH, bias=False)
        self.tell = nn.Sequential(
            nn.Linear(WIDTH, WIDTH, bias=False), nn.ReLU(), nn.Linear(WIDTH, WIDTH, bias=False)
        )
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, picture: Tensor) -> Tensor:
        cells = self.look(picture).flatten(2).transpose(1, 2)
        mixed = self.mix(cells)
        # Two activations multiplied, which eight bits would help little.
        alike = torch.softmax(mixed @ mixed.transpose(1, 2), dim=2)
        return cells + self.norm(self.tell(alike @ cells))


def made() -> tuple[bytes, dict[str, np.ndarray]]:
    torch.manual_seed(0)
    picture = torch.randn(1, 1, 4, 6)
    return to_onnx(Attentive().eval(), {"picture": picture}, [SAID]), {"picture": picture.numpy()}


def test_no_layer_turns_its_weight_on_the_device() -> None:
    graph = onnx.load_model_from_string(made()[0]).graph
    constant = {tensor.name for tensor in graph.initializer}
    weights = [n.input[1] for n in graph.node if n.op_type == "MatMul" and n.input[1] in constant]
    assert len(weights) == 3
    assert not [n for n in graph.node if n.op_type == "Transpose" and n.input[0] in constant]


def test_they_become_int8_and_what_is_added_or_multiplied_beside_them_does_not() -> None:
    stream, example = made()
    cells = np.zeros((1, CELLS, WIDTH), np.float32)
    tail = to_onnx(nn.Identity(), {SAID: torch.from_numpy(cells)}, ["said"])
    parts = ModelParts(streams={"cells": stream}, tail=tail)
    int8 = to_int8(parts, [example])
    graph = onnx.load_model_from_string(int8).graph
    read = {name: node for node in graph.node for name in node.output}
    kinds = Counter(
        node.op_type
        for node in graph.node
        if all(n in read and read[n].op_type == "DequantizeLinear" for n in node.input[:2])
        and node.op_type != "QuantizeLinear"
    )
    assert kinds["Conv"] == 1
    assert kinds["MatMul"] == 3
    assert kinds["Add"] == 0
    wanted = open_session(parts.joined(), backend="onnxruntime", threads=1).run(example)["said"]
    for backend in BACKENDS:
        found = open_session(int8, backend=backend, threads=1).run(example)["said"]
        assert np.abs(found - wanted).max() < 0.1
        assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.999
