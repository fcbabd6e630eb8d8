"""LoFTR: the published key layout, what refuses, and the same numbers as a static graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import onnxruntime
import openvino
import torch
from torch import nn

from export.convert.graph import to_onnx
from export.networks.loftr.attention import linear_attention, positions
from export.networks.loftr.checkpoint import load_loftr
from export.networks.loftr.fine import cut_windows, expected_offset
from export.networks.loftr.matching import choices, choices_by_rows, log_dual_softmax, mutual
from export.networks.loftr.network import Loftr, match_pictures
from export.networks.loftr.sizes import PUBLISHED, LoftrSizes
from runtime.errors import ConfigRefused

pytestmark = pytest.mark.export
SHARED = Path(__file__).parents[3] / "shared" / "data" / "weights"
TINY = LoftrSizes(
    stem=8, widths=(8, 12, 16), blocks=(1, 1, 1), heads=2, pairs=1, fine_width=8,
    similarity="cosine",
)  # fmt: skip


def made(sizes: LoftrSizes) -> Loftr:
    torch.manual_seed(0)
    return Loftr(sizes).eval()


def test_the_published_sizes_have_the_authors_layout() -> None:
    with torch.device("meta"):
        state = Loftr(PUBLISHED).state_dict()
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    assert len(shapes) == 211
    assert sum(value.numel() for key, value in state.items() if "running" not in key) > 11e6
    assert {
        "backbone.conv1.weight": (128, 1, 7, 7),
        "backbone.layer2.0.downsample.0.weight": (196, 128, 1, 1),
        "backbone.layer2_outconv2.3.weight": (196, 256, 3, 3),
        "backbone.layer1_outconv2.3.weight": (128, 196, 3, 3),
        "loftr_coarse.layers.7.mlp.0.weight": (512, 512),
        "fine_preprocess.down_proj.weight": (128, 256),
        "fine_preprocess.merge_feat.bias": (128,),
        "loftr_fine.layers.1.norm2.bias": (128,),
    }.items() <= shapes.items()


@pytest.mark.parametrize("prefix", ["", "matcher."])
@pytest.mark.parametrize("wrapped", [True, False])
def test_a_checkpoint_of_the_authors_layout_is_loaded(
    tmp_path: Path, prefix: str, wrapped: bool
) -> None:
    source, target = made(TINY), Loftr(TINY).eval()
    state = {prefix + key: value for key, value in source.state_dict().items()}
    torch.save({"state_dict": state} if wrapped else state, tmp_path / "x.ckpt")
    load_loftr(target, tmp_path / "x.ckpt")
    a, b = torch.rand(2, 1, 1, 32, 48)
    assert all(torch.equal(x, y) for x, y in zip(source(a, b), target(a, b), strict=True))


def test_a_checkpoint_of_another_layout_is_refused_by_the_weight_that_does_not_fit(
    tmp_path: Path,
) -> None:
    network = made(TINY)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    wide = Loftr(TINY.model_copy(update={"stem": 12}))
    torch.save(wide.state_dict(), tmp_path / "wide.ckpt")
    with pytest.raises(ConfigRefused, match=r"wide\.ckpt is no LoFTR .*backbone\.conv1\.weight"):
        load_loftr(network, tmp_path / "wide.ckpt")
    torch.save({"model_state_dict": wide.state_dict(), "epoch": 3}, tmp_path / "other.ckpt")
    with pytest.raises(ConfigRefused, match=r"other\.ckpt holds no state dict.*model_state_dict"):
        load_loftr(network, tmp_path / "other.ckpt")
    (tmp_path / "text.ckpt").write_text("no checkpoint")
    with pytest.raises(ConfigRefused, match=r"text\.ckpt cannot be read"):
        load_loftr(network, tmp_path / "text.ckpt")
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_a_coarse_teacher_is_not_taken_for_the_published_network(tmp_path: Path) -> None:
    teacher = SHARED / "LoFTR_teacher.pt"
    if not teacher.is_file():
        pytest.skip("no teacher's weights here")
    state = torch.load(teacher, map_location="cpu", weights_only=True)["model_state_dict"]
    torch.save(state, tmp_path / "teacher.pt")
    with pytest.raises(ConfigRefused, match=r"teacher\.pt is no LoFTR of these sizes"):
        load_loftr(made(TINY), tmp_path / "teacher.pt")


def test_linear_attention_is_a_weighted_mean_of_values() -> None:
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(1, n, 2, 4, generator=generator) for n in (5, 7, 7))
    asked, offered = nn.functional.elu(query) + 1, nn.functional.elu(key) + 1
    weights = torch.einsum("nlhd,nshd->nlsh", asked, offered)
    wanted = torch.einsum("nlsh,nshd->nlhd", weights / weights.sum(2, keepdim=True), value)
    assert (linear_attention(query, key, value) - wanted).abs().max() < 1e-5


def test_the_position_code_tells_every_cell_from_every_other() -> None:
    new, old = (torch.from_numpy(positions(16, 6, 9, old=one)) for one in (False, True))
    code = new.flatten(1).T
    apart = torch.cdist(code, code) + 9 * torch.eye(54)
    assert apart.min() > 0.3
    assert code[0, 0].item() == pytest.approx(np.sin(1.0))
    assert not torch.equal(new, old)


def test_mutual_nearest_neighbours_are_those_of_a_known_permutation() -> None:
    order = torch.tensor([3, 0, 2, 1])
    similarity = torch.full((1, 4, 5), -5.0)
    similarity[0, torch.arange(4), order] = 5.0
    # Cell 2 takes the one that cell 0 chooses; the last cell is chosen by none.
    similarity[0, 2, 3] = 6.0
    found = choices(log_dual_softmax(similarity))
    exact = torch.softmax(similarity, 1) * torch.softmax(similarity, 2)
    assert (found.confidence - exact.max(dim=2).values).abs().max() < 1e-6
    assert mutual(found)[0].tolist() == [False, True, True, True]
    assert found.partner[0, 1:].tolist() == [0, 3, 1]


def test_of_cells_that_are_as_likely_the_first_is_chosen() -> None:
    found = choices(torch.tensor([[[-2.0, -1.0, -1.0], [-3.0, -1.0, -4.0]]]))
    assert found.partner.tolist() == [[1, 1]]
    assert found.back_partner.tolist() == [[0, 0, 0]]
    assert found.confidence[0].log().tolist() == pytest.approx([-1.0, -1.0])
    assert found.back_confidence[0].log().tolist() == pytest.approx([-2.0, -1.0, -1.0])


@pytest.mark.parametrize("size", [5, 3, 2])
def test_block_by_block_the_same_cells_are_chosen_as_surely(size: int) -> None:
    generator = torch.Generator().manual_seed(2)
    similarity = 6 * torch.randn(2, 5, 7, generator=generator)
    # Two of the best that are as good: the first of them is meant, in another block or not.
    similarity[0, 1, 2] = similarity[0, 1, 5] = similarity[0, 4, 2] = 40.0
    turned = similarity.transpose(1, 2)
    found = choices_by_rows(similarity.split(size, 1), turned.split(size, 1))
    wanted = choices(log_dual_softmax(similarity))
    assert torch.equal(found.partner, wanted.partner)
    assert torch.equal(found.back_partner, wanted.back_partner)
    assert (found.confidence - wanted.confidence).abs().max() < 1e-5
    assert (found.back_confidence - wanted.back_confidence).abs().max() < 1e-5


def test_an_offset_in_a_window_is_told_in_pixels_of_the_picture() -> None:
    fine = torch.zeros(1, 2, 12, 12)
    fine[0, 0, 4, 8], fine[0, 1, 5, 6] = 40.0, 40.0
    windows = cut_windows(fine, window=5)[0]
    # Cell (1, 2) of 3 x 3 is fine feature (4, 8); feature (5, 6) is 1 down and 2 left of it.
    window = windows[1 * 3 + 2][None]
    a = torch.zeros_like(window)
    a[0, 12, 1] = 1.0
    assert expected_offset(a, window)[0].tolist() == pytest.approx([2.0, -4.0], abs=1e-3)


def test_identical_pictures_match_at_identical_places() -> None:
    a = torch.rand(1, 1, 64, 96, generator=torch.Generator().manual_seed(1))
    found = match_pictures(made(TINY.model_copy(update={"fine": "none"})), a, a, least=0.0)
    assert len(found.confidence) == 4 * 8
    assert torch.equal(found.a_px, found.b_px)
    assert torch.equal(found.confidence, found.confidence.sort(descending=True).values)


@pytest.mark.parametrize(("fine", "shape"), [("offset", (32, 64)), ("none", (48, 40))])
def test_a_static_graph_says_what_the_network_says(fine: str, shape: tuple[int, int]) -> None:
    network = made(TINY.model_copy(update={"fine": fine}))
    generator = torch.Generator().manual_seed(2)
    inputs = {name: torch.randn(1, 1, *shape, generator=generator) for name in ("a", "b")}
    names = [
        "partner", "confidence", "back_partner", "back_confidence", "cells_a", "cells_b",
        *(["offset_px"] if fine == "offset" else []),
    ]  # fmt: skip
    with torch.no_grad():
        wanted = dict(zip(names, network(*inputs.values()), strict=True))
    model = to_onnx(network, inputs, names)
    arrays = {name: value.numpy() for name, value in inputs.items()}
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    by_ort = dict(zip(names, session.run(names, arrays), strict=True))
    compiled = openvino.Core().compile_model(
        openvino.Core().read_model(model), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    said = compiled(arrays)
    by_openvino = {name: said[name] for name in names}
    cells = shape[0] * shape[1] // 64
    assert max(value.size for value in by_ort.values()) < cells * cells
    for found in (by_ort, by_openvino):
        for name in names:
            exact = wanted[name].numpy()
            assert found[name].shape == exact.shape
            assert np.abs(found[name] - exact).max() < 1e-4, name


def test_a_network_that_was_exported_for_a_shape_still_runs_at_that_shape() -> None:
    network = made(TINY)
    a, b = torch.rand(2, 1, 1, 56, 72)
    to_onnx(network, {"a": a, "b": b}, list("pcdefg")[: len(network(a[..., :48], b[..., :48]))])
    assert all(np.isfinite(said.detach().numpy()).all() for said in network(a, b))
