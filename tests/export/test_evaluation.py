"""The whole evaluation on a folder of small made-up images: complete, resumable, consistent."""

from __future__ import annotations

import csv
import dataclasses
import io

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

from rich.console import Console

from export.__main__ import app
from export.convert.graph import to_parts
from export.datasets.reading import prepare_parts, read_data
from export.evaluate.integer import integer_scores, onnx_scores, quantiser_digest
from export.evaluate.methods import Method, Stream, distinct_streams
from export.evaluate.progress import job
from export.evaluate.results import FP32, INT8
from export.evaluate.run import evaluate
from export.evaluate.seed import PARTS, Trained
from export.evaluate.setup import Choices, set_up
from export.evaluate.votes import fused_scores, joined_votes, network_outputs, stored_outputs
from export.networks.registry import make_network
from export.texture.lbp_table import stored_table
from runtime.errors import ConfigRefused, ModelRefused
from runtime.preprocess.spec import input_channels

pytestmark = pytest.mark.export

SIDE_PX, SPECIMENS = 48, 9
SMALL = Choices(
    architectures=("compact",), inputs=("intensity", "lbp1"), epochs=1, image_px=32, threads=1
)
CONFIG = """
name = "stripes"
version = "1.0.0"
classes = ["plain", "striped"]
licence = "CC0"
[data]
reader = "folder"
[network]
architectures = ["compact"]
[fusion]
kind = "late"
inputs = ["intensity", "lbp1"]
[recipe]
epochs = 3
batch = 8
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Striped and plain noise, two images of each class a specimen."""
    folder = tmp_path_factory.mktemp("stripes")
    rng = np.random.default_rng(2)
    rows = ["file,target,specimen,pixel_size_um"]
    for index in range(SPECIMENS * 4):
        image = rng.integers(60, 120, (SIDE_PX, SIDE_PX))
        if index % 2:
            image[:, ::4] += 90
        name = f"tile{index:02d}.png"
        cv2.imwrite(str(folder / name), image.astype(np.uint8))
        rows.append(f"{name},{'striped' if index % 2 else 'plain'},s{index // 4},0.5")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    (folder / "stripes.toml").write_text(CONFIG)
    return folder


@pytest.fixture(scope="module")
def setup(source):
    return set_up(source, [source / "stripes.toml"], SMALL)


@pytest.fixture(scope="module")
def done(source, setup, tmp_path_factory):
    out = tmp_path_factory.mktemp("evaluation")
    return evaluate(setup, source, out=out, seeds=1), out


@pytest.fixture(scope="module")
def trained(source, setup):
    """Untrained networks with what they say: the arithmetic of fusions asks for no more."""
    data = read_data(setup.config, source, base=source, seed=0)
    parts = prepare_parts(data, setup.spec, stored_table().coordinates)
    networks = {
        Stream("compact", name): make_network(
            "compact", channels=input_channels(name), classes=2
        ).eval()
        for name in setup.spec.inputs
    }
    outputs = {
        part: {
            one: network_outputs(net, getattr(parts, part), one.input_name)
            for one, net in networks.items()
        }
        for part in PARTS
    }
    return Trained(networks=networks, outputs=outputs, parts=parts)


def test_the_report_says_how_many_specimens_were_tested(done):
    results, out = done
    said = f"by specimen, {len(set(results.seeds[0].specimen))} of {SPECIMENS} tested; seed 0: "
    assert said in (out / "table.md").read_text()


def test_everything_asked_for_is_there(done):
    results, out = done
    assert {path.name for path in out.iterdir() if path.is_file()} == {
        *("table.md", "table.csv", "results.json"),
        *("misclassified.png", "misclassified_tiles.png", "reliability.png"),
    }
    networks = [method for method in results.methods if method.group == "compact"]
    assert [(m.row, m.column) for m in networks] == [
        ("intensity", "none"), ("LBP1,8", "none"), ("LBP1,8", "early"), ("LBP1,8", "mid"),
        ("LBP1,8", "late"),
    ]  # fmt: skip
    assert all(results.values(method, INT8, "accuracy") for method in networks)
    assert len([method for method in results.methods if method.group == "SVM"]) == 12
    lines = list(csv.DictReader(io.StringIO((out / "table.csv").read_text())))
    assert len(lines) == 5 * 2 + 12


def test_the_baselines_see_the_stripes(done):
    results, _ = done
    assert results.values(Method("SVM", "uniform", "r = 1"), FP32, "accuracy") == [1.0]


def test_names_and_report_do_not_tell_where_the_data_lie(done, source):
    results, out = done
    assert results.seeds[0].names[0].startswith("tile")
    assert str(source) not in (out / "results.json").read_text() + (out / "table.md").read_text()


def test_an_evaluation_goes_on_where_it_was(done, source, setup):
    results, out = done
    before = {
        path: path.stat().st_mtime_ns for path in out.rglob("*") if path.suffix in (".pt", ".npz")
    }
    again = evaluate(setup, source, out=out, seeds=1)
    # Three networks, two of them three times more without some specimens.
    assert len(before) == 3 + 2 * 3 + 3 * 3 + 5
    assert {path: path.stat().st_mtime_ns for path in before} == before
    for method in results.methods:
        for precision, scores in results.seeds[0].scores[method].items():
            np.testing.assert_allclose(again.seeds[0].scores[method][precision], scores, atol=1e-6)


def test_seeds_split_differently(source, setup):
    tests = {
        tuple(read_data(setup.config, source, base=source, seed=seed).parts.test.names.tolist())
        for seed in range(4)
    }
    assert len(tests) > 1


def test_fused_scores_are_those_of_the_exported_classifier(setup, trained):
    for cell in setup.cells:
        classifier = trained.classifier(cell)
        table = fused_scores(classifier, joined_votes(cell, trained.outputs["test"]))
        example = {n: trained.parts.test.inputs(0)[n] for n in classifier.inputs}
        model = to_parts(classifier, example).joined()
        device = onnx_scores(model, trained.parts.test, classifier.inputs, threads=1)
        np.testing.assert_allclose(table, device, atol=2e-4)


def test_stored_outputs_are_read_back_for_the_same_network_only(trained, tmp_path):
    stream, network = next(iter(trained.networks.items()))
    other = make_network("compact", channels=input_channels(stream.input_name), classes=2)

    def ask(who):
        return stored_outputs(
            who, trained.parts.test, stream.input_name, folder=tmp_path, part="test"
        ).logits

    first = ask(network)
    kept = tmp_path / "outputs_test.npz"
    with np.load(kept) as held:
        key = str(held["key"])
    np.savez(kept, key=np.array(key), logits=first + 1, features=first)
    assert np.allclose(ask(network), first + 1)
    assert not np.allclose(ask(other), first)


def test_int8_scores_are_read_back_for_the_same_quantiser_only(
    setup, trained, tmp_path, monkeypatch
):
    cell = min(setup.cells, key=lambda cell: len(cell.streams))
    classifier, parts = trained.classifier(cell), trained.parts
    path = tmp_path / "kept.npz"

    def ask():
        return integer_scores(classifier, parts.train, parts.test, kept=path, threads=1)

    first = ask()
    with np.load(path) as held:
        key = str(held["key"])
    np.savez(path, key=np.array(key), scores=first + 1)
    assert np.allclose(ask(), first + 1)
    monkeypatch.setattr("export.evaluate.integer.quantiser_digest", lambda: "another")
    assert np.allclose(ask(), first)


def test_a_quantiser_is_another_when_a_source_is(tmp_path):
    (tmp_path / "ranges.py").write_text("BINS = 2048")
    before = quantiser_digest(tmp_path)
    assert quantiser_digest(tmp_path) == before != quantiser_digest()
    (tmp_path / "ranges.py").write_text("BINS = 1024")
    assert quantiser_digest(tmp_path) != before


def test_a_classifier_beyond_two_gigabytes_has_int8_all_the_same(
    setup, trained, tmp_path, monkeypatch
):
    """The limit is set between what the two precisions take."""
    cell = max(setup.cells, key=lambda cell: len(cell.streams))
    classifier, test = trained.classifier(cell), trained.parts.test
    parts = to_parts(classifier, {n: test.inputs(0)[n] for n in classifier.inputs})
    monkeypatch.setattr("export.convert.parts.LARGEST_BYTES", parts.size_bytes // 2)
    with pytest.raises(ModelRefused, match="too large for one ONNX file"):
        parts.joined()
    scores = integer_scores(
        classifier, trained.parts.train, test, kept=tmp_path / "kept.npz", threads=1
    )
    table = fused_scores(classifier, joined_votes(cell, trained.outputs["test"]))
    np.testing.assert_allclose(scores, table, atol=0.1)


def test_choices_override_the_configuration(setup):
    assert setup.recipes["compact"].epochs == 1
    assert (setup.spec.height_px, setup.spec.width_px) == (32, 32)
    assert setup.spec.inputs == ("intensity", "lbp1", "intensity+lbp1")
    assert "1 epochs" in setup.described()["compact recipe"]


def test_configurations_of_different_data_cannot_share_a_table(source, tmp_path):
    other = tmp_path / "other.toml"
    other.write_text(CONFIG.replace('"plain", "striped"', '"a", "b"'))
    with pytest.raises(ConfigRefused, match="differ in 'classes'"):
        set_up(source, [source / "stripes.toml", other], SMALL)


def test_configurations_of_two_sizes_share_a_table_at_a_chosen_one(source, tmp_path):
    smaller = tmp_path / "smaller.toml"
    smaller.write_text(CONFIG + "\n[preprocessing]\nheight_px = 64\nwidth_px = 64\n")
    both = [source / "stripes.toml", smaller]
    with pytest.raises(ConfigRefused, match="differ in 'preprocessing'"):
        set_up(source, both, dataclasses.replace(SMALL, image_px=None))
    assert set_up(source, both, SMALL).spec.width_px == 32


def test_unknown_images_need_a_configuration(source):
    with pytest.raises(ConfigRefused, match="no configuration for these images"):
        set_up(source, [], SMALL)


def test_without_early_fusion_a_network_for_each_part_is_enough(source):
    choices = Choices(fusions=("none", "late"))
    cells = set_up(source, [source / "stripes.toml"], choices).cells
    assert [stream.input_name for stream in distinct_streams(cells)] == [
        "intensity", "lbp1", "lbp2", "lbp3", "texture",
    ]  # fmt: skip
    with pytest.raises(ConfigRefused, match="nothing to evaluate; value often"):
        set_up(source, [source / "stripes.toml"], Choices(fusions=("often",)))


def test_an_unknown_architecture_is_refused(source):
    with pytest.raises(ConfigRefused, match="unknown architecture"):
        set_up(source, [source / "stripes.toml"], Choices(architectures=("alexnet",)))


def test_an_option_takes_several_values(source, tmp_path):
    from typer.testing import CliRunner

    out = tmp_path / "out"
    arguments = [
        "evaluate", "--data", str(source), "--out", str(out), "--no-int8", "--threads", "1",
        "--configs", str(source / "stripes.toml"), "--inputs", "intensity", "lbp1",
        "--epochs", "1", "--image-px", "32",
    ]  # fmt: skip
    outcome = CliRunner().invoke(app, arguments)
    assert outcome.exit_code == 0, outcome.output
    assert "compact, fp32: accuracy" in outcome.output
    assert "int8" not in (out / "table.md").read_text()


def test_steps_found_done_leave_the_job():
    text = io.StringIO()
    with job(10.0, Console(file=text)) as work:
        with work.step("found", 4.0):
            pass
        with work.step("trained", 6.0) as progress:
            progress("epoch", 1, 2)
        bars = work._bars
        assert (bars.tasks[0].completed, bars.tasks[0].total) == (6.0, 6.0)
    assert "trained: 0 s" in text.getvalue()
    assert "found: " not in text.getvalue()
