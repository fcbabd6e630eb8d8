"""Fusion: what is joined, the SVM in one linear layer, and probabilities that mean something."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from sklearn.svm import LinearSVC

from export.networks.fusion import FusedClassifier, fit_fusion, input_of, without_idle
from export.networks.pooling import HeldOut
from export.networks.registry import make_network
from export.networks.svm import linear_svm, slope_of
from runtime.errors import ConfigRefused, InputRefused

pytestmark = pytest.mark.export


def streams(*names: str, classes: int = 2) -> dict:
    channels = {"intensity": 1, "lbp1": 3}
    return {
        name: make_network("compact", channels=channels[input_of(name)], classes=classes)
        for name in names
    }


def classifier(kind: str, *names: str, classes: int = 2) -> FusedClassifier:
    torch.manual_seed(0)
    return FusedClassifier(kind, streams(*names, classes=classes), classes=classes).eval()  # type: ignore[arg-type]


def made_votes(classes: int, count: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of the softmax outputs of two imperfect streams."""
    rng = np.random.default_rng(seed)
    target = rng.integers(classes, size=count)
    logits = rng.normal(0, 1.5, (count, 2, classes))
    logits[np.arange(count), :, target] += 2
    votes = logits - np.log(np.exp(logits).sum(axis=2, keepdims=True))
    return votes.reshape(count, -1).astype(np.float32), target


def held_out(votes: np.ndarray, target: np.ndarray) -> HeldOut:
    return HeldOut(votes=votes, target=target)


def scores(fused: FusedClassifier, votes: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return torch.softmax(fused.fuse(torch.from_numpy(votes)), dim=1).numpy()


@pytest.mark.parametrize("kind", ["mid", "late"])
@pytest.mark.parametrize("classes", [2, 3])
def test_votes_and_scores_have_their_shapes(kind: str, classes: int) -> None:
    fused = classifier(kind, "intensity", "lbp1", classes=classes)
    inputs = {"intensity": torch.randn(2, 1, 32, 32), "lbp1": torch.randn(2, 3, 32, 32)}
    votes = fused.votes(inputs)
    assert votes.shape == (2, 2 * (128 if kind == "mid" else classes))
    assert torch.allclose(fused(*inputs.values()).sum(dim=1), torch.ones(2))


def test_an_ensemble_of_architectures_shares_its_input() -> None:
    fused = classifier("late", "compact:intensity", "resnet50:intensity")
    assert fused.inputs == ("intensity",)
    assert fused(torch.randn(1, 1, 32, 32)).shape == (1, 2)


def test_one_stream_says_what_its_network_says() -> None:
    fused = classifier("none", "intensity")
    images = torch.randn(3, 1, 32, 32)
    wanted = torch.softmax(fused.streams["intensity"](images), dim=1)
    assert torch.allclose(fused(images), wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "names"),
    [("late", ["intensity"]), ("none", ["intensity", "lbp1"]), ("middle", ["intensity", "lbp1"])],
)
def test_a_fusion_that_makes_no_sense_is_refused(kind: str, names: list[str]) -> None:
    with pytest.raises(ConfigRefused, match="one stream"):
        classifier(kind, *names)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_the_folded_layer_decides_as_scikit_learns_svm(classes: int) -> None:
    votes, target = made_votes(classes)
    weight, bias = linear_svm(votes, target, classes)
    scale = np.sqrt((votes.astype(float) ** 2).sum(axis=1).mean())
    svm = LinearSVC(C=1.0, class_weight="balanced", random_state=0, max_iter=20_000).fit(
        votes / scale, target
    )
    assert np.array_equal((votes @ weight.T + bias).argmax(axis=1), svm.predict(votes / scale))


@pytest.mark.parametrize("classes", [2, 3])
def test_fitted_scores_are_calibrated_on_votes_never_seen(classes: int) -> None:
    fused = classifier("late", "intensity", "lbp1", classes=classes)
    votes, target = made_votes(classes)
    fit_fusion(fused, (votes, target), held_out(*made_votes(classes, seed=1)))
    unseen, truth = made_votes(classes, count=4000, seed=2)
    found = scores(fused, unseen)
    right = found.argmax(axis=1) == truth
    assert right.mean() > 0.75
    assert abs(found.max(axis=1).mean() - right.mean()) < 0.04
    likelihood = -np.log(found[np.arange(len(truth)), truth]).mean()
    best_single = min(
        -unseen[np.arange(len(truth)), truth + offset].mean() for offset in (0, classes)
    )
    assert likelihood < best_single


def test_temperature_alone_changes_no_decision_of_one_stream() -> None:
    fused = classifier("none", "intensity", classes=3)
    rng = np.random.default_rng(0)
    target = rng.integers(3, size=300)
    logits = rng.normal(0, 1, (300, 3))
    logits[np.arange(300), target] += 1
    sure = (10 * logits).astype(np.float32)
    fit_fusion(fused, (sure, target), held_out(sure, target))
    found = scores(fused, sure)
    assert np.array_equal(found.argmax(axis=1), sure.argmax(axis=1))
    assert abs(found.max(axis=1).mean() - (found.argmax(axis=1) == target).mean()) < 0.05


def test_votes_that_separate_the_classes_do_not_make_scores_certain() -> None:
    fused = classifier("late", "intensity", "lbp1")
    target = np.repeat([0, 1], 20)
    votes = np.log(np.tile(0.05 + 0.9 * np.eye(2, dtype=np.float32)[target], 2))
    fit_fusion(fused, (votes, target), held_out(votes, target))
    found = scores(fused, votes).max(axis=1)
    assert 0.9 < found.min() <= found.max() < 0.99


def test_the_slope_is_found_again() -> None:
    rng = np.random.default_rng(3)
    margin = rng.normal(0, 2, 5000)
    target = (rng.random(5000) < 1 / (1 + np.exp(-1.7 * margin))).astype(np.int64)
    slope = slope_of(np.stack([-margin, margin], axis=1) / 2, target)
    assert slope == pytest.approx(1.7, abs=0.12)


def test_the_prior_of_the_deployment_and_not_of_the_images_sets_the_threshold() -> None:
    seen, classes = made_votes(2, count=300, seed=1)
    mostly = np.concatenate([np.flatnonzero(classes == 0)[:100], np.flatnonzero(classes == 1)[:40]])
    unseen, _ = made_votes(2, count=2000, seed=2)
    shares = {}
    for name, kept, prior in (
        ("even", np.arange(300), None),
        ("skewed", mostly, None),
        ("rare", np.arange(300), np.array([0.9, 0.1])),
    ):
        fused = classifier("late", "intensity", "lbp1")
        fit_fusion(fused, (seen, classes), held_out(seen[kept], classes[kept]), prior=prior)
        shares[name] = scores(fused, unseen).argmax(1).mean()
    assert abs(shares["even"] - shares["skewed"]) < 0.02
    assert shares["rare"] < shares["even"] - 0.1


def test_a_stream_without_weight_is_left_out_and_no_score_changes() -> None:
    fused = classifier("late", "intensity", "lbp1")
    votes, target = made_votes(2)
    rng = np.random.default_rng(4)
    noise = rng.normal(0, 3, (len(votes), 2))
    votes[:, 2:] = noise - np.log(np.exp(noise).sum(axis=1, keepdims=True))
    fit_fusion(fused, (votes, target), held_out(votes, target))
    kept = without_idle(fused)
    assert kept.inputs == ("intensity",)
    assert list(kept.gains) == ["intensity", "lbp1"]
    assert kept.gains["lbp1"] <= 1 < kept.gains["intensity"]
    images = torch.randn(4, 1, 32, 32)
    with torch.no_grad():
        assert torch.allclose(fused(images, torch.randn(4, 3, 32, 32)), kept(images), atol=1e-5)


def test_an_empty_class_is_refused() -> None:
    fused = classifier("late", "intensity", "lbp1", classes=3)
    votes, target = made_votes(2)
    with pytest.raises(InputRefused, match="class has no image"):
        fit_fusion(fused, (votes, target), held_out(np.tile(votes, 2)[:, :6], target))


def test_a_rare_class_keeps_its_say_where_votes_are_not_sure() -> None:
    rng = np.random.default_rng(5)
    target = (np.arange(400) % 5 == 0).astype(np.int64)
    lean = 0.04 * (2 * target - 1) + rng.normal(0, 0.1, (4, 400))
    votes = np.stack([0.5 - lean, 0.5 + lean], axis=-1).transpose(1, 0, 2).reshape(400, 8)
    weight, bias = linear_svm(votes.astype(np.float32), target, 2)
    found = (votes @ weight.T + bias).argmax(axis=1)
    shares = [np.mean(found[target == one] == one) for one in (0, 1)]
    assert min(shares) > 0.7
