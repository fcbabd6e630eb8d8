"""Torch and the device see the same inputs and say the same, however the streams are laid out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from skimage.feature import local_binary_pattern

from export.bundle.artefacts import Artefacts
from export.bundle.pack import pack
from export.convert.graph import to_parts
from export.convert.parts import VOTE
from export.networks.fusion import FusedClassifier, Fusion, input_of
from export.networks.registry import make_network
from export.quantise import to_int8
from runtime.appliance.models.keys import new_key
from runtime.config.settings import SHIPPED_MODELS, ModelsSection
from runtime.inference.backends import backends
from runtime.inference.bundle import Bundle, find_bundle, open_bundle
from runtime.inference.candidates import candidates, open_choice
from runtime.inference.selftest import golden_inputs, verify
from runtime.inference.view_input import ViewInput
from runtime.preprocess.inputs import to_input
from runtime.preprocess.spec import TEXTURE, PreprocessSpec, input_channels
from runtime.tasks.registry import RECORDS

pytestmark = [
    pytest.mark.export,
]
FP32_TOLERANCE = 1e-4
CASES: dict[str, tuple[Fusion, tuple[str, ...]]] = {
    "one stream": ("none", ("intensity",)),
    "early": ("early", ("intensity+lbp1+lbp2+lbp3",)),
    "late": ("late", ("intensity", "lbp1", "lbp2", "lbp3")),
    "mid": ("mid", ("intensity", "lbp1+lbp2+lbp3")),
    "one input, two networks": ("late", ("compact:intensity", "vgg:intensity")),
    "late, texture": ("late", ("intensity", "texture")),
    "mid, texture": ("mid", ("intensity", "texture")),
}


class Made:
    """A fresh classifier in torch, and the bundle made of it."""

    def __init__(self, name: str, shipped: Bundle, folder: Path) -> None:
        torch.manual_seed(1)
        kind, names = CASES[name]
        streams = {
            one: make_network(
                "texture-cells" if one == TEXTURE else "compact",
                channels=input_channels(input_of(one)),
                classes=3,
            )
            for one in names
        }
        self.torch = FusedClassifier(kind, streams, classes=3).eval()
        self.spec = PreprocessSpec(inputs=self.torch.inputs)
        self.lut = shipped.input(ViewInput).table(shipped.array)
        self.golden = [picture for index in (0, 5) for picture in shipped.pictures(index)]
        self.bundle = self._packed(shipped, folder)

    def _packed(self, shipped: Bundle, folder: Path) -> Bundle:
        examples = [to_input(tile, self.spec, self.lut) for tile in self.golden]
        parts = to_parts(self.torch, examples[0])
        about = shipped.manifest.model_dump(mode="json", exclude={"files", "format"})
        about |= {
            "task": {"kind": "classify", "classes": ["a", "b", "c"]},
            "networks": {"cuts": [VOTE + stream for stream in parts.streams]},
        }
        about["input"]["preprocessing"] = self.spec.to_json()
        artefacts = Artefacts(
            about=about,
            fp32=parts.joined(),
            int8=to_int8(parts, examples),
            arrays={about["input"]["lut"]: self.lut},
            golden=[[picture] for picture in self.golden],
        )
        new_key(folder / "made.key", passphrase="", models=ModelsSection())
        out = folder / "made.nsb"
        pack(artefacts, key=folder / "made.key", out=out)
        return open_bundle(out, keys=folder, tasks=RECORDS)

    def scores(self, index: int) -> Any:
        inputs = to_input(self.golden[index], self.spec, self.lut)
        with torch.inference_mode():
            return self.torch(*(torch.from_numpy(inputs[name]) for name in self.torch.inputs))[0]


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    path = find_bundle(SHIPPED_MODELS, "mussel-tissue")
    return open_bundle(path, keys=SHIPPED_MODELS / "keys", tasks=RECORDS)


@pytest.fixture(scope="module", params=CASES)
def made(
    request: pytest.FixtureRequest, shipped: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> Made:
    return Made(request.param, shipped, tmp_path_factory.mktemp("parity"))


def test_golden_maps_are_those_of_the_full_image_resized(made: Made) -> None:
    size = (made.spec.width_px, made.spec.height_px)
    for index, tile in enumerate(made.golden):
        inputs = golden_inputs(made.bundle, index)
        for name in (one for one in inputs if one in ("lbp1", "lbp2", "lbp3")):
            codes = local_binary_pattern(tile, 8, int(name[-1]), method="default").astype(np.uint8)
            small = cv2.resize(made.lut[codes], size, interpolation=cv2.INTER_NEAREST)
            assert np.array_equal(inputs[name][0], small.transpose(2, 0, 1))


def test_torch_and_device_agree_on_every_golden_tile_in_every_layout(made: Made) -> None:
    choices = [
        choice
        for choice in candidates(made.bundle, allowed=backends(), threads=2)
        if choice.precision == "fp32"
    ]
    layouts = {choice.layout for choice in choices}
    assert layouts == ({"together", "parallel"} if len(made.torch.streams) > 1 else {"together"})
    for choice in choices:
        session = open_choice(made.bundle, choice, threads=2)
        for index in range(len(made.golden)):
            (scores,) = session.run(golden_inputs(made.bundle, index))["scores"]
            expected = made.scores(index).numpy()
            assert np.allclose(scores, expected, atol=FP32_TOLERANCE), str(choice)


def test_int8_keeps_to_its_golden_scores_in_every_layout(made: Made) -> None:
    rows = [row for row in verify(made.bundle) if row["precision"] == "int8"]
    assert {row["backend"] for row in rows} == set(backends())
    limit = made.bundle.manifest.golden.tolerance["scores"]
    assert all(row["worst"]["scores"] <= limit for row in rows)
    assert made.bundle.manifest.networks.ir["int8"].xml in made.bundle.files
