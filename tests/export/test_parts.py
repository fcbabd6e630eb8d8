"""A classifier in parts says what it says whole, and its parts join without a clash."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import onnx
import torch
from torch import Tensor, nn

from export.bundle.artefacts import FP32, Artefacts
from export.convert.graph import to_parts
from export.convert.parts import VOTE
from export.networks.base import TileNetwork
from export.networks.fusion import FusedClassifier, Fusion, input_of
from export.quantise import CalibratedModel, part_outputs, quantise, to_int8
from export.quantise.gate import most_sensitive_first
from export.tasks.classify.judge import ClassJudge
from runtime.errors import ModelRefused
from runtime.inference.backends import open_session
from runtime.inference.session import BACKENDS, LAYOUTS
from runtime.preprocess.spec import PreprocessSpec
from runtime.tasks.classify.record import SCORES

pytestmark = [
    pytest.mark.export,
]
CHANNELS, CLASSES, WIDTH = {"intensity": 1, "lbp1": 3}, 3, 8
CASES: dict[str, tuple[Fusion, tuple[str, ...]]] = {
    "none": ("none", ("intensity",)),
    "late": ("late", ("intensity", "lbp1")),
    "mid": ("mid", ("intensity", "lbp1")),
    "shared input": ("late", ("a:intensity", "b:intensity", "lbp1")),
}


class SmallNet(TileNetwork):
    """Two equal biases, and features that end in a ReLU as VGG's do."""

    feature_width = WIDTH

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, WIDTH, 3, stride=2)
        self.second = nn.Conv2d(WIDTH, WIDTH, 3, stride=2)
        self.wide = nn.Linear(WIDTH * 9, WIDTH)
        self.last = nn.Linear(WIDTH, CLASSES)
        nn.init.zeros_(self.first.bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def features(self, images: Tensor) -> Tensor:
        maps = torch.relu(self.second(torch.relu(self.first(images))))
        return torch.relu(self.wide(maps.flatten(1)))

    def forward(self, images: Tensor) -> Tensor:
        return self.last(self.features(images))


def made(name: str) -> FusedClassifier:
    torch.manual_seed(2)
    kind, names = CASES[name]
    streams = {stream: SmallNet(CHANNELS[input_of(stream)]) for stream in names}
    return FusedClassifier(kind, streams, classes=CLASSES).eval()


def views(classifier: FusedClassifier, count: int = 6) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(3)
    return [
        {
            name: rng.normal(size=(1, CHANNELS[name], 16, 16)).astype(np.float32)
            for name in classifier.inputs
        }
        for _ in range(count)
    ]


def torch_scores(classifier: FusedClassifier, seen: list[dict[str, np.ndarray]]) -> np.ndarray:
    with torch.inference_mode():
        return np.stack(
            [
                classifier(*(torch.from_numpy(one[n]) for n in classifier.inputs)).numpy()[0]
                for one in seen
            ]
        )


@pytest.mark.parametrize("name", CASES)
def test_parts_whole_int8_and_torch_agree_in_every_layout(name: str) -> None:
    classifier = made(name)
    seen = views(classifier)
    parts = to_parts(classifier, seen[0])
    wanted = torch_scores(classifier, seen)
    assert np.allclose(part_outputs(parts, seen)[SCORES], wanted, atol=1e-5)
    whole, int8 = parts.joined(), to_int8(parts, seen)
    layouts = LAYOUTS if len(classifier.streams) > 1 else LAYOUTS[:1]
    cuts = tuple(VOTE + stream for stream in parts.streams)
    for backend in BACKENDS:
        for layout in layouts:
            for model, off in ((whole, 1e-4), (int8, 0.03)):
                session = open_session(model, backend=backend, threads=2, layout=layout, cuts=cuts)
                scores = [session.run(one)["scores"][0] for one in seen]
                assert np.allclose(scores, wanted, atol=off)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_joined_names_are_the_contract_and_none_is_made_twice(name: str, precision: str) -> None:
    classifier = made(name)
    seen = views(classifier)
    parts = to_parts(classifier, seen[0])
    model = parts.joined() if precision == "fp32" else to_int8(parts, seen)
    graph = onnx.load_model_from_string(model).graph
    assert [entry.name for entry in graph.input] == list(classifier.inputs)
    assert [end.name for end in graph.output] == ["scores"]
    outputs = [output for node in graph.node for output in node.output]
    assert [one for one in outputs if one.startswith("vote:")] == [
        f"vote:{stream}" for stream in classifier.streams
    ]
    tensors = Counter([*outputs, *(one.name for one in graph.initializer), *classifier.inputs])
    assert max(tensors.values()) == 1
    assert max(Counter(node.name for node in graph.node).values()) == 1
    assert not [node for node in graph.node if node.op_type == "Identity"]


def test_layers_can_be_kept_in_one_stream_and_are_measured_there() -> None:
    classifier = made("late")
    seen = views(classifier)
    calibrated = CalibratedModel(to_parts(classifier, seen[0]), seen)
    ranking = most_sensitive_first(calibrated, seen)
    assert sorted(ranking) == sorted(calibrated.layers)
    assert len(ranking) == 2 * 3

    def weights(model: bytes) -> set[str]:
        graph = onnx.load_model_from_string(model).graph
        return {t.name for t in graph.initializer if t.data_type == onnx.TensorProto.INT8}

    lost = weights(calibrated.int8()) - weights(calibrated.int8(keep=ranking[:1]))
    assert lost
    assert {name.partition(":")[0] for name in lost} == {ranking[0].partition(":")[0]}


def test_fp32_too_large_for_one_file_is_judged_in_parts_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SmallNet, "feature_width", 512)
    classifier = made("mid")
    for network in classifier.streams.values():
        network.wide, network.last = nn.Linear(WIDTH * 9, 512), nn.Linear(512, CLASSES)  # type: ignore[assignment]
    seen = views(classifier)
    parts = to_parts(classifier, seen[0])
    monkeypatch.setattr("export.convert.parts.LARGEST_BYTES", parts.size_bytes)
    with pytest.raises(ModelRefused, match="too large for one ONNX file"):
        parts.joined()
    target = torch_scores(classifier, seen).argmax(axis=1)
    done = quantise(parts, seen, seen, ClassJudge(target=target))
    assert done.metrics["fp32"] == {"accuracy": 1}
    (tmp_path / FP32).write_bytes(b"of an earlier training")
    about = {
        "task": {"kind": "classify", "classes": ["a", "b", "c"]},
        "input": {
            "pixel_size_um": [0.4, 0.6],
            "field_px": {"height_px": 64, "width_px": 64},
            "preprocessing": PreprocessSpec().to_json(),
            "lut": "lut.npy",
        },
    }
    lut = {"lut.npy": np.zeros((256, 3), np.float32)}
    Artefacts(about=about, fp32=None, int8=done.int8, arrays=lut, golden=[]).write(tmp_path)
    kept = Artefacts.read(tmp_path)
    assert kept.fp32 is None
    assert kept.int8 == done.int8


def test_the_exporter_says_nothing_of_its_own_libraries() -> None:
    program = (
        "import torch; from export.convert.graph import to_onnx;"
        "to_onnx(torch.nn.Conv2d(1, 1, 3), {'x': torch.zeros(1, 1, 8, 8)}, ['y'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")
