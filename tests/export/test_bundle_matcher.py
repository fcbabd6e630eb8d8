"""A small LoFTR out of a bundle, among the matchers compared."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx
from onnx import TensorProto, helper

from export.bundle.artefacts import Artefacts
from export.bundle.pack import pack
from export.evaluate.matching.matcher import TilePair
from export.evaluate.matching.matchers import opened
from runtime.appliance.models.keys import new_key
from runtime.config.settings import SHIPPED_MODELS, ModelsSection
from runtime.errors import ModelRefused
from runtime.stitch.match.borders import Facing
from runtime.stitch.match.strips import StripPair
from runtime.stitch.match.threshold import Chance
from tests.export.demis_set import texture

pytestmark = pytest.mark.export
HEIGHT_PX, WIDTH_PX = 64, 128
CELLS = HEIGHT_PX * WIDTH_PX // 64
OFF_YX = (2.0, -1.0)
RIM_PX, LIKE = 8, 0.6
"""How much of a strip is not compared, and by how much of its spread two may differ."""
ABOUT: dict[str, Any] = {
    "name": "tiny",
    "version": "1.0.0",
    "task": {"kind": "match", "least_confidence": 0.2},
    "networks": {},
    "input": {"height_px": HEIGHT_PX, "width_px": WIDTH_PX},
    "golden": {"tolerance": {"confidence": 0.1, "back_confidence": 0.1}},
    "origin": {
        "training": {"data": "none", "licence": "none", "split": "none", "seeds": [0]},
        "metrics": {"int8": {"matched": 0.0}, "fp32": {"matched": 0.0}},
    },
    "budgets_ms": {},
}


def same_places() -> bytes:
    """Return a graph that matches every cell with the one at its own place, off by `OFF_YX`, where
    the second strip shows there what the first one does, and none elsewhere.
    """
    told = {
        "partner": np.arange(CELLS, dtype=np.int64)[None],
        "back_partner": np.arange(CELLS, dtype=np.int64)[None],
        "confidence": np.full((1, CELLS), 0.9, np.float32),
        "back_confidence": np.full((1, CELLS), 0.9, np.float32),
        "offset_px": np.tile(np.array(OFF_YX, np.float32), (1, CELLS, 1)),
    }
    kept = [onnx.numpy_helper.from_array(value, f"{name}_of") for name, value in told.items()]
    kept.append(onnx.numpy_helper.from_array(np.array(LIKE, np.float32), "like"))
    nodes = []
    for strip, (y, x) in enumerate(((RIM_PX, RIM_PX), np.add(RIM_PX, OFF_YX).astype(int))):
        ends = (
            (strip, 0, y, x),
            (strip + 1, 1, y + HEIGHT_PX - 2 * RIM_PX, x + WIDTH_PX - 2 * RIM_PX),
        )
        for end, at in zip(("from", "to"), ends, strict=True):
            kept.append(onnx.numpy_helper.from_array(np.array(at, np.int64), f"{end}_{strip}"))
        cut = ["strips", f"from_{strip}", f"to_{strip}"]
        nodes.append(helper.make_node("Slice", cut, [f"strip_{strip}"]))
    nodes += [
        helper.make_node("Sub", ["strip_0", "strip_1"], ["between"]),
        helper.make_node("Abs", ["between"], ["apart"]),
        helper.make_node("ReduceMean", ["apart"], ["mean"], keepdims=0),
        helper.make_node("Less", ["mean", "like"], ["alike"]),
        helper.make_node("Cast", ["alike"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Cast", ["alike"], ["share"], to=TensorProto.FLOAT),
    ]
    outputs = []
    for name, value in told.items():
        seen = "whole" if value.dtype == np.int64 else "share"
        nodes.append(helper.make_node("Mul", [f"{name}_of", seen], [name]))
        kind = TensorProto.INT64 if seen == "whole" else TensorProto.FLOAT
        outputs.append(helper.make_tensor_value_info(name, kind, value.shape))
    strips = helper.make_tensor_value_info("strips", TensorProto.FLOAT, [2, 1, HEIGHT_PX, WIDTH_PX])
    graph = helper.make_graph(nodes, "same_places", [strips], outputs, kept)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return bytes(made.SerializeToString())


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two bundles, one of them without fp32, and their key."""
    folder = tmp_path_factory.mktemp("shelf")
    (folder / "keys").mkdir()
    new_key(folder / "signing.pem", passphrase="", models=ModelsSection()).rename(
        folder / "keys/signing.pub"
    )
    model, shape = same_places(), (HEIGHT_PX, WIDTH_PX)
    golden = [[texture(shape, 1), texture(shape, 2)]]
    made = Artefacts(about=ABOUT, fp32=model, int8=model, golden=golden, card="none")
    pack(made, key=folder / "signing.pem", out=folder / "both.nsb")
    pack(made, key=folder / "signing.pem", out=folder / "small.nsb", with_fp32=False)
    return folder


def pair_of(a: np.ndarray, b: np.ndarray) -> TilePair:
    strips = StripPair(a, b, (700, 0), (0, 0), (700.0, 0.0), 10)
    return TilePair("a", "b", Facing(strips, None, None, Chance(lambda: (0.0,))), (1024, 1024))


@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_a_bundles_matches_are_told_in_the_tiles(shelf: Path, precision: str) -> None:
    (matcher,) = opened([f"loftr-small-{precision}={shelf / 'both.nsb'}"])
    assert matcher.name == f"loftr-small-{precision}"
    strip = texture((320, 90), 3)
    x, y = int(OFF_YX[0]), int(OFF_YX[1])
    a, b = strip[10:310, 10:74], strip[10 - y : 310 - y, 10 - x : 74 - x]
    found = matcher.match(pair_of(a, b))
    # Three windows along an upright seam, laid down, so that off down is off to the right; the
    # corner of a's strip is at x = 700 in its tile.
    assert len(found) > 60
    assert found.a_px - found.b_px == pytest.approx(
        np.tile((700 - OFF_YX[0], -OFF_YX[1]), (len(found), 1)), abs=0.05
    )
    at = found.a_px - (700, 0)
    assert at[:, 1].min() < 50 < 250 < at[:, 1].max()
    assert at[:, 0].max() < 64
    assert len(found.confidence) == len(found)
    # Where windows overlap, no cell counts twice.
    assert len({tuple(cell) for cell in np.floor(at / 8).tolist()}) == len(found)


def test_where_the_rung_has_no_match_there_are_no_points(shelf: Path) -> None:
    (matcher,) = opened([f"loftr-small-int8={shelf / 'both.nsb'}"])
    strips = [texture((300, 64), seed) for seed in (3, 4)]
    assert len(matcher.match(pair_of(*strips))) == 0


def test_blank_strips_match_nowhere(shelf: Path) -> None:
    (matcher,) = opened([f"loftr-small-int8={shelf / 'both.nsb'}"])
    blank = np.full((300, 64), 20000, np.uint16)
    assert len(matcher.match(pair_of(blank, blank))) == 0


def test_bundles_that_cannot_match_are_refused_by_name(shelf: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match=r"small\.nsb has no fp32 model; value int8"):
        opened([f"loftr-small-fp32={shelf / 'small.nsb'}"])
    classifier = next(SHIPPED_MODELS.glob("mussel*.nsb"))
    with pytest.raises(ModelRefused, match=r"is for another task; value classify; limit match"):
        opened([f"loftr-small-int8={classifier}"])
    (tmp_path / "text.nsb").write_text("no bundle")
    with pytest.raises(ModelRefused, match=r"text\.nsb"):
        opened([f"loftr-small-int8={tmp_path / 'text.nsb'}"])
