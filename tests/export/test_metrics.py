"""Metrics against counts done by hand and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest

from export.tasks.classify.metrics import auroc, confusion, measure, reliability
from runtime.errors import ConfigRefused

TARGET = np.array([0, 0, 0, 1, 1, 1, 1, 0])
POSITIVE = np.array([0.1, 0.2, 0.7, 0.9, 0.8, 0.4, 0.7, 0.2])


def two(positive):
    return np.stack([1 - positive, positive], axis=1)


def test_counts_done_by_hand():
    found = measure(two(POSITIVE), TARGET)
    assert found.confusion.tolist() == [[3, 1], [1, 3]]
    assert found.accuracy == 0.75
    assert found.balanced_accuracy == 0.75
    assert found.f1 == 0.75
    # Of 16 pairs only 0.4 against 0.7 is out of order, and 0.7 against 0.7 is a tie.
    assert found.auroc == pytest.approx(14.5 / 16)


def test_balanced_accuracy_weighs_the_rare_class_as_much():
    target = np.array([0] * 9 + [1])
    found = measure(two(np.zeros(10)), target)
    assert (found.accuracy, found.balanced_accuracy, found.f1) == (0.9, 0.5, 0.0)


@pytest.mark.export
def test_same_numbers_as_scikit_learn():
    judge = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(5)
    scores = rng.dirichlet(np.ones(3), 60)
    target = rng.integers(0, 3, 60)
    found = measure(scores, target)
    predicted = scores.argmax(axis=1)
    assert found.balanced_accuracy == pytest.approx(
        judge.balanced_accuracy_score(target, predicted)
    )
    assert found.log_loss == pytest.approx(judge.log_loss(target, scores))
    assert found.confusion.tolist() == judge.confusion_matrix(target, predicted).tolist()
    assert found.f1 is None
    assert found.auroc is None
    pairs = two(rng.random(60).round(1))
    assert auroc(pairs[:, 1], target == 1) == pytest.approx(
        judge.roc_auc_score(target == 1, pairs[:, 1])
    )


def test_one_class_alone_has_no_auroc():
    assert auroc(np.array([0.2, 0.3]), np.array([True, True])) is None


def test_calibration_error_is_the_gap_between_score_and_accuracy():
    scores = two(np.array([0.95] * 10 + [0.65] * 10))
    target = np.array([1] * 9 + [0] + [1] * 5 + [0] * 5)
    bins = reliability(scores, target)
    assert bins.count.tolist() == [0] * 6 + [10, 0, 0, 10]
    assert bins.calibration_error == pytest.approx(0.5 * 0.05 + 0.5 * 0.15)


def test_a_score_of_one_lies_in_the_last_bin():
    assert reliability(two(np.array([1.0])), np.array([1])).count[-1] == 1


def test_confusion_has_the_truth_down():
    assert confusion(np.array([2]), np.array([0]), classes=3)[0, 2] == 1


def test_nothing_to_measure_is_refused():
    with pytest.raises(ConfigRefused, match="0 scores, 0 targets"):
        measure(np.zeros((0, 2)), np.zeros(0, dtype=np.int64))


def test_plain_numbers_are_rounded_and_complete():
    plain = measure(two(POSITIVE), TARGET).to_json()
    assert plain["accuracy"] == 0.75
    assert plain["n"] == 8
    assert set(plain) == {
        *("accuracy", "balanced_accuracy", "f1", "auroc", "log_loss"),
        *("calibration_error", "confusion", "n"),
    }
