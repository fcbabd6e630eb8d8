"""Is a claimed uncertainty true? Made answers say how often the error lies within it."""

from collections.abc import Sequence

import numpy as np


def assert_honest(
    errors: Sequence[float],
    sigmas: Sequence[float],
    *,
    one_sigma: tuple[float, float] = (0.55, 0.82),
    two_sigma: tuple[float, float] = (0.85, 0.99),
) -> None:
    """Assert that the shares of errors within one σ, and within two, lie in the given ranges.

    For normal errors and a known σ they are 0.68 and 0.95. A σ half or twice as large as it should
    be falls out of one of the default ranges.
    """
    ratio = np.abs(np.asarray(errors)) / np.asarray(sigmas)
    within = [float(np.mean(ratio < times)) for times in (1, 2)]
    assert one_sigma[0] <= within[0] <= one_sigma[1], f"within one and two σ: {within}"
    assert two_sigma[0] <= within[1] <= two_sigma[1], f"within one and two σ: {within}"
