from __future__ import annotations

import multiprocessing

import numpy as np
import pytest

from runtime.preprocess import intensity, lbp_kernel, strips, texture_kernel
from runtime.preprocess.inputs import sample
from runtime.preprocess.kernels import share_rows
from runtime.preprocess.lbp import full_codes
from runtime.preprocess.spec import PreprocessSpec
from runtime.preprocess.warm import warm_kernels

KERNELS = [
    lbp_kernel.fill_sampled_rows,
    lbp_kernel.fill_all_rows,
    intensity._add_blocks,
    strips._fill,
    texture_kernel.count_rows,
]


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize("rows", [0, 1, 2, 20])
def test_every_row_is_worked_on_once(rows: int, threads: int) -> None:
    visits = np.zeros(rows, dtype=int)

    def visit(first: int, last: int) -> None:
        visits[first:last] += 1

    share_rows(visit, rows=rows, threads=threads)
    assert (visits == 1).all()


@pytest.mark.parametrize("culprit", [0, 5])
def test_an_error_on_any_thread_reaches_the_caller(culprit: int) -> None:
    def fail(first: int, last: int) -> None:
        if first <= culprit < last:
            raise ValueError(f"row {culprit}")

    with pytest.raises(ValueError, match=f"row {culprit}"):
        share_rows(fail, rows=8, threads=2)


# Newer Pythons warn of forking beside threads, which is what this is about.
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own() -> None:
    share_rows(lambda first, last: None, rows=4, threads=2)
    context = multiprocessing.get_context("fork")
    answer = context.Queue()
    child = context.Process(target=_share_in_a_child, args=(answer,))
    child.start()
    assert answer.get(timeout=240) == [(0, 2), (2, 4)]
    child.join()


def _share_in_a_child(answer: multiprocessing.Queue[list[tuple[int, int]]]) -> None:
    spans: list[tuple[int, int]] = []
    share_rows(lambda first, last: spans.append((first, last)), rows=4, threads=2)
    answer.put(sorted(spans))


def test_nothing_is_compiled_after_warming() -> None:
    warm_kernels()
    warmed = [len(kernel.signatures) for kernel in KERNELS]
    assert warmed == [2] * len(KERNELS)
    for dtype in (np.uint8, np.uint16):
        pixels = np.random.default_rng(0).integers(0, 200, (70, 90)).astype(dtype)
        for tile in (pixels, pixels[::2, 1:], np.asfortranarray(pixels), pixels[:1]):
            sample(
                tile, PreprocessSpec(height_px=30, inputs=("intensity+lbp2", "texture")), threads=2
            )
            full_codes(tile, radii_px=(1,), threads=2)
            strips.flattened(tile)
    assert [len(kernel.signatures) for kernel in KERNELS] == warmed
