"""Sums over the blocks of a frame, beside NumPy's."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.preprocess.differences import FAR_PX, NEAR_PX, ROWS, block_sums


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.lists(st.integers(0, 12), min_size=2, max_size=5),
    columns=st.lists(st.integers(0, 30), min_size=2, max_size=5),
)
def test_sums_are_exact(dtype: type, seed: int, rows: list[int], columns: list[int]) -> None:
    whole = np.random.default_rng(seed).integers(
        0, np.iinfo(dtype).max, (ROWS * 12 + FAR_PX, 30 + FAR_PX), dtype, endpoint=True
    )
    edges = np.array(sorted(rows)), np.array(sorted(columns))
    found = block_sums(whole, *edges)
    frame = whole.astype(np.int64)
    here = frame[:-FAR_PX:ROWS, :-FAR_PX]
    maps = [here]
    for lag in (NEAR_PX, FAR_PX):
        across = frame[:-FAR_PX:ROWS, lag : lag + here.shape[1]] - here
        down = frame[lag : lag + ROWS * 12 : ROWS, :-FAR_PX] - here
        maps.append(across**2 + down**2)
    wanted = [
        [
            [one[top:end, left:right].sum() for left, right in pairwise(edges[1])]
            for top, end in pairwise(edges[0])
        ]
        for one in maps
    ]
    assert np.array_equal(found, wanted)
