"""Late fusion: no worse than its best member, whatever that is, and better where it can be."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from export.networks.pooling import HeldOut, pool
from export.tasks.classify.metrics import auroc

pytestmark = pytest.mark.export
SEEDS = 12


def said(
    seed: int, *, strengths: tuple[float, ...], specimens: int, images: int = 8, sure: float = 1.5
) -> HeldOut:
    """Votes of streams that see a cue of some strength each, are off by specimen, and too sure."""
    rng = np.random.default_rng(seed)
    target = rng.integers(2, size=specimens * images)
    specimen = np.repeat(np.arange(specimens), images)
    votes = []
    for strength in strengths:
        away = rng.normal(size=specimens)[specimen]
        logit = strength * (2 * target - 1) + away + rng.normal(size=len(target))
        logits = np.stack([-logit, logit], axis=1) * sure
        votes.append(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))
    return HeldOut(votes=np.concatenate(votes, 1).astype(np.float32), target=target)


def joint(weights: np.ndarray, held_out: HeldOut) -> np.ndarray:
    votes = held_out.votes.reshape(len(held_out.votes), -1, 2)
    return np.asarray(np.tensordot(votes[:, :, 1] - votes[:, :, 0], weights, axes=(1, 0)))


def gains(strengths: tuple[float, ...]) -> np.ndarray:
    """AUROC of the whole on unseen specimens, minus that of the member that is truly the best."""
    found = []
    for seed in range(SEEDS):
        seen = said(seed, strengths=strengths, specimens=20)
        unseen = said(100 + seed, strengths=strengths, specimens=60)
        best = np.eye(len(strengths))[int(np.argmax(strengths))]
        truth = unseen.target == 1
        ours, alone = (
            auroc(joint(w, unseen), truth) or 0.0 for w in (pool(seen, classes=2).weights, best)
        )
        found.append(ours - alone)
    return np.array(found)


@pytest.mark.parametrize("strengths", [(1.0, 0.0), (1.0, 0.1), (1.0, 0.0, 0.0)])
def test_it_is_no_worse_than_its_best_member(strengths: tuple[float, ...]) -> None:
    assert gains(strengths).mean() > -gains(strengths).std()


@pytest.mark.parametrize("strengths", [(0.8, 0.8), (0.6, 1.0), (0.7, 0.7, 0.7)])
def test_it_is_better_where_members_know_different_things(strengths: tuple[float, ...]) -> None:
    found = gains(strengths)
    assert found.mean() > 2 * found.std() / np.sqrt(SEEDS)
    assert (found > 0).mean() > 0.7


def test_a_stream_that_says_nothing_is_left_out_but_for_a_few_by_chance() -> None:
    kept = [
        pool(said(seed, strengths=(1.0, 0.0), specimens=20), classes=2).weights
        for seed in range(3 * SEEDS)
    ]
    assert np.mean([one[1] == 0 for one in kept]) >= 0.8
    assert max(one[1] / one[0] for one in kept) < 0.5


def test_a_stream_that_knows_something_else_is_heard() -> None:
    kept = [
        pool(said(seed, strengths=(0.6, 1.0), specimens=20), classes=2).weights
        for seed in range(3 * SEEDS)
    ]
    assert np.mean([one.all() for one in kept]) >= 0.9


def test_a_gain_is_by_how_much_likelier_a_stream_makes_the_images() -> None:
    """Votes of a certain share right: what they are worth beside a guess can be counted."""
    target = np.repeat([0, 1], 500)
    right = np.where(np.arange(1000) % 10, target, 1 - target)
    votes = np.log(0.05 + 0.9 * np.eye(2)[right]).astype(np.float32)
    nothing = np.full_like(votes, np.log(0.5))
    found = pool(HeldOut(votes=np.concatenate([nothing, votes], 1), target=target), classes=2)
    wanted = 1000 * (np.log(2) + 0.9 * np.log(0.9) + 0.1 * np.log(0.1))
    assert list(found.gains) == [1, 0]
    assert found.gains[1] == pytest.approx(wanted, abs=0.5)
    assert found.gains[0] == pytest.approx(0, abs=1e-6)
    assert found.weights[0] == 0


def test_a_stream_is_heard_where_it_gains_more_than_a_nat() -> None:
    for seed in range(3 * SEEDS):
        found = pool(said(seed, strengths=(1.0, 0.2, 0.0), specimens=20), classes=2)
        first, *others = found.gains
        assert sorted(found.gains) == [0, 1, 2]
        assert found.weights[first] > 0
        assert all((found.weights[one] > 0) == (found.gains[one] > 1) for one in others)


def test_no_stream_is_turned_round() -> None:
    weights = pool(said(3, strengths=(1.0, -1.0), specimens=20), classes=2).weights
    assert weights[0] > 0
    assert weights[1] == 0


def test_however_sure_a_stream_is_of_itself_it_counts_alike() -> None:
    one, other = (
        pool(said(4, strengths=(0.8, 0.8), specimens=20, sure=sure), classes=2).weights
        for sure in (0.5, 5.0)
    )
    assert other * 10 == pytest.approx(one, rel=0.1)


def test_the_prior_alone_sets_the_threshold() -> None:
    seen = said(5, strengths=(0.8, 0.8), specimens=60)
    assert pool(seen, classes=2).offsets.tolist() == [0, 0]
    low, high = pool(seen, classes=2, prior=np.array([0.9, 0.1])).offsets
    assert high - low == pytest.approx(np.log(0.1 / 0.9))
