"""Matchers with weights: they load what they are for, refuse the rest, and find what is there."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import onnx
import torch
from onnx import TensorProto, helper

from export.datasets.demis import read_truth
from export.evaluate.matching.grid import read_pixels, true_pairs
from export.evaluate.matching.loftr import LoftrMatcher
from export.evaluate.matching.matcher import Matcher, TilePair
from export.evaluate.matching.matchers import opened
from export.evaluate.matching.score import judged
from export.evaluate.matching.teacher import CELL_PX, TeacherMatcher
from export.evaluate.matching.xfeat import XFeatMatcher
from export.networks.loftr.network import Loftr
from export.networks.loftr.sizes import PUBLISHED, LoftrSizes
from export.networks.xfeat import XFeatNetwork, keypoint_map
from runtime.errors import ConfigRefused
from runtime.stitch.match.borders import Facing
from runtime.stitch.match.strips import StripPair
from runtime.stitch.match.threshold import Chance
from tests.export.demis_set import texture, write_set

pytestmark = pytest.mark.export
SHARED = Path(__file__).parents[3] / "shared" / "data" / "weights"
TINY = LoftrSizes(
    stem=8, widths=(8, 12, 16), blocks=(1, 1, 1), heads=2, pairs=1, fine="none",
    similarity="cosine",
)  # fmt: skip


def weights(name: str) -> Path:
    path = SHARED / name
    if not path.is_file():
        pytest.skip(f"no {name} here")
    return path


def pair_of(a: np.ndarray, b: np.ndarray, origin_b: tuple[int, int] = (0, 0)) -> TilePair:
    """Return two crops as of neighbours; where a lies in its tile tells that it is thought of."""
    strips = StripPair(a, b, (700, 30), origin_b, (700.0, 30.0), 10)
    return TilePair("a", "b", Facing(strips, None, None, Chance(lambda: (0.0,))), (1024, 1024))


def moved(shape: tuple[int, int], dx: int, dy: int, seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Return two crops of one texture; what is at (x + dx, y + dy) of the first is at (x, y) of the
    second.
    """
    whole = texture((shape[0] + abs(dy), shape[1] + abs(dx)), seed)
    a = whole[: shape[0], : shape[1]]
    b = whole[dy : dy + shape[0], dx : dx + shape[1]]
    return np.ascontiguousarray(a), np.ascontiguousarray(b)


def test_a_checkpoint_of_xfeats_layout_is_loaded_and_its_unused_part_let_go(
    tmp_path: Path,
) -> None:
    torch.manual_seed(0)
    source = XFeatNetwork().eval()
    state = {**source.state_dict(), "fine_matcher.0.weight": torch.zeros(512, 128)}
    torch.save(state, tmp_path / "xfeat.pt")
    strip = texture((70, 90), 1)
    torch.manual_seed(1)
    matcher = XFeatMatcher(tmp_path / "xfeat.pt")
    picture = torch.rand(1, 1, 64, 96)
    with torch.inference_mode():
        for ours, theirs in zip(matcher._network(picture), source(picture), strict=True):
            assert torch.equal(ours, theirs)
    at, described = matcher.see(strip)
    assert at.shape[0] == described.shape[0]
    assert (at < torch.tensor([90, 70])).all()


def test_a_keypoints_place_in_its_cell_counts_row_by_row() -> None:
    logits = torch.zeros(1, 65, 2, 3)
    logits[0, 8 * 5 + 2, 1, 2] = 20.0
    likely = keypoint_map(logits)
    assert likely.shape == (1, 1, 16, 24)
    assert divmod(int(likely.argmax()), 24) == (8 + 5, 16 + 2)


@pytest.mark.parametrize("shape", [(200, 96), (90, 210)])
def test_xfeat_finds_a_known_shift(shape: tuple[int, int]) -> None:
    matcher = XFeatMatcher(weights("xfeat.pt"))
    a, b = moved(shape, 7, 4)
    found = matcher.match(pair_of(a, b, (3, 0)))
    way = found.a_px - found.b_px - (700 - 3, 30)
    right = (np.abs(way - (7, 4)) <= 1).all(axis=1)
    assert right.sum() > 50
    assert right.mean() > 0.5
    assert found.confidence[right].mean() > found.confidence[~right].mean()


@pytest.mark.parametrize("shape", [(700, 200), (200, 700)])
def test_the_coarse_loftr_finds_a_known_shift_to_a_cell(shape: tuple[int, int]) -> None:
    matcher = TeacherMatcher(weights("LoFTR_teacher.onnx"))
    a, b = moved(shape, CELL_PX, 2 * CELL_PX)
    found = matcher.match(pair_of(a, b))
    way = found.a_px - found.b_px - (700, 30)
    right = (way == (CELL_PX, 2 * CELL_PX)).all(axis=1)
    assert right.sum() > 60
    assert right.mean() > 0.9
    cells = {tuple(px) for px in found.a_px.tolist()}
    # Both windows of the longer side have matches, and none twice.
    assert len(cells) == len(found)
    at = found.a_px[:, int(shape[1] > shape[0]) ^ 1] - (30 if shape[0] > shape[1] else 700)
    assert at.min() < 100 < 600 < at.max()


def test_loftr_places_its_matches_in_the_tiles(tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.save(Loftr(TINY).state_dict(), tmp_path / "tiny.ckpt")
    matcher = LoftrMatcher("loftr", tmp_path / "tiny.ckpt", TINY, least=0.0)
    strip = texture((150, 100), 2)
    found = matcher.match(pair_of(strip, strip))
    assert len(found) > 20
    # Whole cells of 8 px, x before y, the strip's corner at (700, 30); none in what was filled up.
    at = found.a_px - (700, 30)
    assert (at % 8 == 0).all()
    assert (at.max(axis=0) <= (99, 149)).all()
    assert at[:, 1].max() > 100 > at[:, 0].max()
    assert (found.b_px == at).all()


@pytest.mark.parametrize("make", [XFeatMatcher, TeacherMatcher])
def test_blank_strips_match_nowhere(make: Callable[[Path], Matcher]) -> None:
    name = "xfeat.pt" if make is XFeatMatcher else "LoFTR_teacher.onnx"
    blank = np.full((200, 96), 20000, np.uint16)
    assert len(make(weights(name)).match(pair_of(blank, blank))) == 0


def test_xfeat_on_a_data_set_is_right_of_every_pair(tmp_path: Path) -> None:
    write_set(tmp_path, columns=2, rows=1)
    (matcher,) = opened([f"xfeat={weights('xfeat.pt')}"])
    (grid,) = read_truth(tmp_path).grids
    (known,) = true_pairs(grid, read_pixels(tmp_path, grid), stage_sigma_px=2.0)
    score = judged(matcher, known, correct_px=3.0).score
    assert score.points.correct > 100
    assert score.centre_px < 1.0


def graph(path: Path, shape: list[int]) -> Path:
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in ("a", "b", "c")]
    node = helper.make_node("Add", ["a", "b"], ["c"])
    made = helper.make_model(
        helper.make_graph([node], "g", ports[:2], ports[2:]),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=10,
    )
    onnx.save(made, path)
    return path


def test_weights_of_something_else_are_refused_by_name(tmp_path: Path) -> None:
    torch.save(Loftr(TINY).state_dict(), tmp_path / "tiny.ckpt")
    (tmp_path / "text.onnx").write_text("no graph")
    graph(tmp_path / "other.onnx", [1, 1, 48, 64])
    cases = {
        "xfeat": "xfeat needs the authors' xfeat.pt",
        f"xfeat={tmp_path / 'none.pt'}": "xfeat: no such file; value .*none.pt",
        f"xfeat={tmp_path / 'tiny.ckpt'}": "tiny.ckpt is no XFeat: skip1.1.weight",
        f"xfeat={tmp_path / 'text.onnx'}": "text.onnx cannot be read",
        f"loftr={tmp_path / 'tiny.ckpt'}": "tiny.ckpt is no LoFTR of these sizes",
        f"loftr-coarse={tmp_path / 'text.onnx'}": "text.onnx cannot be read",
        f"loftr-coarse={tmp_path / 'other.onnx'}": r"other.onnx is no coarse LoFTR; value .*48, 64",
    }
    for said, refusal in cases.items():
        with pytest.raises(ConfigRefused, match=refusal):
            opened([said])


def test_the_first_release_of_loftr_has_its_own_code_of_positions(tmp_path: Path) -> None:
    with torch.device("meta"):
        state = Loftr(PUBLISHED).state_dict()
    made = {f"matcher.{k}": torch.zeros(v.shape, dtype=v.dtype) for k, v in state.items()}
    torch.save({"state_dict": made}, tmp_path / "outdoor_ds.ckpt")
    (matcher,) = opened([f"loftr={tmp_path / 'outdoor_ds.ckpt'}"])
    assert isinstance(matcher, LoftrMatcher)
    assert matcher.name == "loftr"
    assert matcher.sizes.old_positions
    assert not PUBLISHED.old_positions
