"""A tiny training run, all the way to a bundle that the runtime opens."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

from typer.testing import CliRunner

from export.__main__ import app
from export.artefacts import Artefacts
from export.build import Data, build
from export.config import Recipe, SectionConfig, TrainingConfig, read_config
from export.datasets.augment import Exposure, expose
from export.datasets.overview import overview_tiles
from export.datasets.patches import COVERAGE_BINS, draw_patch
from export.datasets.section import Section, read_section
from export.graph import to_onnx
from export.lbp_table import code_dissimilarity, make_table
from export.networks.compact import CompactNet
from export.pack import pack
from export.quantise import check_gate
from export.sign import make_key, sign
from export.train import train
from runtime.classify import TileClassifier
from runtime.errors import ConfigRefused, InputRefused, ModelRefused
from runtime.inference.bundle import open_bundle
from runtime.inference.selftest import verify
from runtime.inference.session import open_session
from runtime.preprocess.inputs import to_input
from runtime.preprocess.spec import PreprocessSpec
from runtime.tile import StagePosition, Tile

pytestmark = [
    pytest.mark.export,
    pytest.mark.timeout(600),
    # Torch warns that its tracing exporter will go; export/graph.py says why it is used.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
SPEC = PreprocessSpec(width_px=256)
CONFIG = Path(__file__).parents[2] / "export" / "configs" / "mussel_tissue.toml"


def made_section(seed: int = 0) -> Section:
    """A bright slide with a coarse, dark, grainy disc."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:1400, :1600]
    tissue = ((x - 800) ** 2 + (y - 700) ** 2 < 420**2).astype(np.uint8)
    grain = cv2.GaussianBlur(rng.normal(0, 120, tissue.shape).astype(np.float32), (0, 0), 3)
    image = 220 + rng.normal(0, 2, tissue.shape) - tissue * (70 + grain * 3)
    return Section(
        name="made",
        image=np.clip(image, 0, 255).astype(np.uint8),
        tissue=tissue,
        pixel_size_um=0.5,
        min_area_fraction=0.35,
    )


def settings() -> TrainingConfig:
    place = SectionConfig(
        image=Path("i"), labels=Path("l"), image_pixel_size_um=0.5, pixel_size_um=0.5
    )
    return TrainingConfig(
        name="made-disc",
        version="0.1.0",
        classes=("resin", "tissue"),
        pixel_size_um=(0.45, 0.55),
        licence="none",
        section=place,
        recipe=Recipe(steps=70, batch=12, fusion_examples=96),
    )


@pytest.fixture(scope="module")
def lut() -> np.ndarray:
    return make_table(starts=1).coordinates


@pytest.fixture(scope="module")
def artefacts(lut: np.ndarray) -> Artefacts:
    section = made_section()
    data = Data(training=section, validation=made_section(1), test=None)
    return build(
        settings(), data, lut, seed=0, examples=48, progress=lambda step, steps, loss: None
    )


def test_a_tiny_training_becomes_a_bundle_that_opens_and_verifies(
    artefacts: Artefacts, tmp_path: Path
) -> None:
    key = tmp_path / "key.pem"
    make_key(key)
    artefacts.write(tmp_path / "run")
    path = tmp_path / "made-disc-0.1.0.nsb"
    pack(Artefacts.read(tmp_path / "run"), key=key, out=path)
    bundle = open_bundle(path, keys=tmp_path)
    assert len(verify(bundle)) >= 2
    again = tmp_path / "again.nsb"
    pack(artefacts, key=key, out=again)
    assert again.read_bytes() == path.read_bytes()


def test_a_tiny_training_learns_the_disc(artefacts: Artefacts, tmp_path: Path) -> None:
    key, path = tmp_path / "key.pem", tmp_path / "made-disc-0.1.0.nsb"
    make_key(key)
    pack(artefacts, key=key, out=path)
    classifier = TileClassifier.open(path, keys=tmp_path, backend="onnxruntime")
    right = []
    for pixels, share in overview_tiles(
        made_section(5), np.random.default_rng(0), rows=3, columns=3
    ):
        tile = Tile(
            tile_id="t",
            pixels=pixels,
            stage=StagePosition(x_um=0, y_um=0, z_um=0),
            pixel_size_um=0.5,
            exposure_ms=1,
            light="",
            time_s=0,
            objective="",
        )
        right.append((classifier.classify(tile).name == "tissue") == (share >= 0.35))
    assert np.mean(right) >= 8 / 9


def test_torch_and_the_exported_graph_agree(lut: np.ndarray) -> None:
    recipe = Recipe(steps=2, batch=8, fusion_examples=32)
    fusion = train(
        made_section(), SPEC, lut, recipe, seed=3, progress=lambda step, steps, loss: None
    )
    import torch

    rng = np.random.default_rng(1)
    example = to_input(expose(draw_patch(made_section(), rng).pixels, Exposure(), rng), SPEC, lut)
    session = open_session(to_onnx(fusion, example), backend="onnxruntime", threads=1)
    with torch.no_grad():
        wanted = fusion(*(torch.from_numpy(example[name]) for name in fusion.streams)).numpy()[0]
    assert np.allclose(session.run(example), wanted, atol=1e-4)


def test_the_same_seed_gives_the_same_weights(lut: np.ndarray) -> None:
    recipe = Recipe(steps=2, batch=4, fusion_examples=32)
    section = made_section()
    first, second = (
        train(section, SPEC, lut, recipe, seed=1, progress=lambda step, steps, loss: None)
        for _ in range(2)
    )
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert np.array_equal(a.detach().numpy(), b.detach().numpy())


@pytest.mark.parametrize("channels", [1, 3, 9])
def test_a_stream_is_compact(channels: int) -> None:
    assert sum(p.numel() for p in CompactNet(channels).parameters()) <= 500_000


def test_the_dissimilarity_is_one() -> None:
    table = code_dissimilarity()
    assert np.array_equal(table, table.T)
    assert not table.diagonal().any()
    # Reading the circle the other way round is no difference, and one lone bit is a small one.
    assert table[0b00000001, 0b00000010] < table[0b00000000, 0b11111111]


def test_the_table_puts_like_codes_together(lut: np.ndarray) -> None:
    apart = np.linalg.norm(lut[:, None] - lut[None], axis=-1)
    wanted = code_dissimilarity()
    pairs = np.triu_indices(256, 1)
    assert np.corrcoef(apart[pairs], wanted[pairs])[0, 1] > 0.8
    assert np.abs(lut).max() == pytest.approx(1)


def test_patches_reach_every_bin_and_keep_mask_and_pixels_together() -> None:
    section, rng = made_section(), np.random.default_rng(0)
    patches = [draw_patch(section, rng) for _ in range(60)]
    counts, _ = np.histogram(
        [patch.coverage for patch in patches], [low for low, _ in COVERAGE_BINS] + [1.01]
    )
    assert (counts > 0).all()
    for patch in patches:
        coarse = cv2.resize(patch.pixels, (64, 56), interpolation=cv2.INTER_AREA)
        if 0.1 < patch.coverage < 0.9:
            assert coarse[patch.tissue == 1].mean() < coarse[patch.tissue == 0].mean() - 20


def test_int8_that_loses_accuracy_is_refused() -> None:
    check_gate(fp32_accuracy=0.98, int8_accuracy=0.978)
    with pytest.raises(ModelRefused, match="int8 loses too much") as caught:
        check_gate(fp32_accuracy=0.98, int8_accuracy=0.97)
    assert "0.9700 against 0.9800" in str(caught.value)


def test_holes_are_painted_over_and_scales_are_honoured(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "i.png"), np.full((100, 100), 9, np.uint8))
    square = [[0, 0], [199, 0], [199, 199], [0, 199]]
    hole = [[0, 0], [99, 0], [99, 99], [0, 99]]
    polygons = [{"class": "tissue", "points": square}, {"class": "resin", "points": hole}]
    labels = {"pixel_size_um": 0.25, "positive": "tissue", "min_area_fraction": 0.3}
    (tmp_path / "l.json").write_text(json.dumps(labels | {"polygons": polygons}))
    section = read_section(
        tmp_path / "i.png", tmp_path / "l.json", image_pixel_size_um=0.5, pixel_size_um=0.5
    )
    assert section.tissue.mean() == pytest.approx(0.75, abs=0.03)
    assert not section.tissue[:48, :48].any()


@pytest.mark.parametrize("content", ["", "[]", "{}"])
def test_bad_labels_are_named(tmp_path: Path, content: str) -> None:
    cv2.imwrite(str(tmp_path / "i.png"), np.full((10, 10), 9, np.uint8))
    (tmp_path / "l.json").write_text(content)
    with pytest.raises(InputRefused, match=r"l\.json"):
        read_section(
            tmp_path / "i.png", tmp_path / "l.json", image_pixel_size_um=1, pixel_size_um=1
        )


def test_training_and_validation_share_no_row() -> None:
    section = read_config(CONFIG).section
    assert section.train_rows[1] <= section.validation_rows[0]


def test_an_unknown_configuration_key_is_refused_with_the_nearest(tmp_path: Path) -> None:
    text = CONFIG.read_text().replace("learning_rate", "learnig_rate")
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(ConfigRefused, match="learning_rate"):
        read_config(tmp_path / "c.toml")


def test_a_key_is_private_and_never_overwritten(tmp_path: Path) -> None:
    key = tmp_path / "k.pem"
    make_key(key)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    with pytest.raises(ConfigRefused, match="exists"):
        make_key(key)
    assert len(sign(b"x", key)) == 64
    key.write_text("nonsense")
    with pytest.raises(ConfigRefused, match="cannot be read"):
        sign(b"x", key)


def test_an_unfinished_training_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="no finished training"):
        Artefacts.read(tmp_path)


def test_every_command_has_help_and_an_example() -> None:
    commands = [command.name or command.callback.__name__ for command in app.registered_commands]
    assert set(commands) == {"lbp-table", "lbp-picture", "train", "evaluate", "pack", "key"}
    for name in commands:
        shown = CliRunner().invoke(app, [name, "--help"])
        assert shown.exit_code == 0
        assert f"python -m export {name}" in shown.output
