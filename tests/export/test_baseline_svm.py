"""The support vector machine of the baselines."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")

from export.evaluate.baselines.svm import fit_svm, svm_scores

pytestmark = pytest.mark.export


def separable(classes, count=60):
    rng = np.random.default_rng(8)
    target = np.arange(count) % classes
    features = rng.normal(0, 0.2, (count, 4))
    features[np.arange(count), target] += 2
    return features, target, np.arange(count) // 3


@pytest.mark.parametrize("classes", [2, 3])
def test_separable_classes_are_separated(classes):
    features, target, specimen = separable(classes)
    scores = svm_scores(fit_svm(features, target, specimen, seed=0), features)
    assert scores.shape == (60, classes)
    np.testing.assert_allclose(scores.sum(axis=1), 1)
    assert (scores.argmax(axis=1) == target).mean() == 1


def test_one_specimen_a_class_still_fits():
    features, target, _ = separable(2)
    machine = fit_svm(features, target, target, seed=0)
    assert machine.get_params()["linearsvc__C"] == 1.0


def test_the_rare_class_is_not_given_up():
    rng = np.random.default_rng(4)
    target = (np.arange(200) % 20 == 0).astype(np.int64)
    features = rng.normal(0, 1, (200, 1)) + 2.0 * target[:, None]
    scores = svm_scores(fit_svm(features, target, np.arange(200), seed=1), features)
    assert (scores.argmax(axis=1) == 1)[target == 1].mean() > 0.5


def test_the_same_seed_gives_the_same_machine():
    features, target, specimen = separable(2)
    first, second = (fit_svm(features, target, specimen, seed=3) for _ in range(2))
    np.testing.assert_array_equal(svm_scores(first, features), svm_scores(second, features))
