"""What calibration tiles tell of a stream: the ranges of its tensors, and the means that rounded
weights lose and integer biases give back.
"""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import onnx
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, numpy_helper
from onnx.helper import make_graph, make_model, make_node, make_opsetid, make_tensor_value_info

from export.quantise.calibration import Histogram, best_range, observe
from export.quantise.integer import OPERATIONS, CalibratedStream
from export.quantise.outputs import stream_votes

pytestmark = pytest.mark.export
# Below half a step of seven bits beside a weight of one, so it rounds to nothing.
LOST = 0.007


def examples(count: int = 8) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(5)
    return [
        {"intensity": rng.uniform(0.9, 1.1, (1, 1, 16, 16)).astype(np.float32)}
        for _ in range(count)
    ]


def stream() -> bytes:
    """Two convolutions with eight small weights beside a large one, and the mean of the second."""
    first = np.full((4, 1, 3, 3), LOST, np.float32)
    second = np.full((2, 4, 3, 3), LOST, np.float32)
    first[:, :, 1, 1] = second[:, 0, 1, 1] = 1
    weights = {
        "w1": first,
        "b1": np.zeros(4, np.float32),
        "w2": second,
        "b2": np.zeros(2, np.float32),
    }
    nodes = [
        make_node("Conv", ["intensity", "w1", "b1"], ["c1"], "first"),
        make_node("Relu", ["c1"], ["r1"], "relu1"),
        make_node("Conv", ["r1", "w2", "b2"], ["c2"], "second"),
        make_node("Relu", ["c2"], ["r2"], "relu2"),
        make_node("GlobalAveragePool", ["r2"], ["pooled"], "pool"),
        make_node("Flatten", ["pooled"], ["vote"], "flat"),
    ]
    graph = make_graph(
        nodes,
        "stream",
        [make_tensor_value_info("intensity", TensorProto.FLOAT, [1, 1, 16, 16])],
        [make_tensor_value_info("vote", TensorProto.FLOAT, [1, 2])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = make_model(graph, opset_imports=[make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def test_means_are_those_of_what_each_layer_reads() -> None:
    model = onnx.load_model_from_string(stream())
    means = observe(model, examples(), operations=OPERATIONS).means
    mean = np.mean([one["intensity"].mean() for one in examples()])
    assert means["intensity"] == pytest.approx([mean], rel=1e-5)
    assert means["r1"] == pytest.approx(np.full(4, mean * (1 + 8 * LOST)), rel=1e-2)


def test_int8_keeps_the_mean_that_its_rounded_weights_lose() -> None:
    int8 = CalibratedStream(stream(), examples(), classes=2).int8()
    fp32 = stream()
    for wanted, found in zip(
        stream_votes(fp32, examples()), stream_votes(int8, examples()), strict=True
    ):
        # Without the correction the first layer alone loses 5 %, the second another quarter.
        assert found["vote"] == pytest.approx(wanted["vote"], rel=0.01)


def test_layers_kept_in_fp32_keep_their_biases() -> None:
    calibrated = CalibratedStream(stream(), examples(), classes=2)
    kept = onnx.load_model_from_string(calibrated.int8(keep=["first", "second"]))
    values = {one.name: numpy_helper.to_array(one) for one in kept.graph.initializer}
    assert not values["b1"].any()
    assert not values["b2"].any()


def histograms(tiles: list[np.ndarray]) -> list[Histogram]:
    """What is observed of a tensor that has these values on the tiles."""
    return [Histogram.of(tile.astype(np.float32)) for tile in tiles]


def loss(tiles: list[np.ndarray], low: float, high: float) -> float:
    """The mean over tiles of the squared error of 256 levels in proportion to the tile's power."""
    step = max((high - low) / 255, 1e-12)
    # As on the device: zero is a level.
    zero = np.rint(-low / step)
    rounded = [(np.clip(np.rint(tile / step) + zero, 0, 255) - zero) * step for tile in tiles]
    return float(
        np.mean(
            [
                np.square(one - tile).sum() / np.square(tile).sum()
                for one, tile in zip(rounded, tiles, strict=True)
                if tile.any()
            ]
        )
    )


def test_one_odd_tile_does_not_coarsen_all_others() -> None:
    rng = np.random.default_rng(3)
    usual = [np.abs(rng.normal(size=4000)) for _ in range(31)]
    tiles = [*usual, 20 * np.abs(rng.normal(size=4000))]
    widest = max(float(tile.max()) for tile in tiles)
    low, high = map(float, best_range(histograms(tiles)))
    assert low == 0
    assert 3 < high < widest
    assert loss(tiles, low, high) < 0.5 * loss(tiles, 0, widest)


def test_evenly_spread_values_keep_their_whole_range() -> None:
    tiles = [np.linspace(-1, 3, 4001) for _ in range(4)]
    low, high = best_range(histograms(tiles))
    assert low == pytest.approx(-1, abs=0.03)
    assert high == pytest.approx(3, abs=0.07)


def test_a_tensor_that_is_always_zero_has_no_range() -> None:
    assert not any(best_range(histograms([np.zeros(16)])))


@given(
    seed=st.integers(0, 2**32 - 1),
    tail=st.floats(0.5, 2),
    shift=st.floats(-3, 3),
    count=st.integers(1, 6),
)
def test_hardly_ever_worse_than_from_least_to_largest(
    seed: int, tail: float, shift: float, count: int
) -> None:
    rng = np.random.default_rng(seed)
    tiles = [shift + np.sign(n) * np.abs(n) ** tail for n in rng.normal(size=(count, 2000))]
    low, high = map(float, best_range(histograms(tiles)))
    assert low <= 0 <= high
    everything = np.concatenate([*tiles, np.zeros(1)])
    widest = loss(tiles, float(everything.min()), float(everything.max()))
    # Rounding is taken to be evenly spread over a step, which few levels are not.
    assert loss(tiles, low, high) <= 1.2 * widest
