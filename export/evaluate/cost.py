"""How much work an evaluation is, in epochs of a compact network over one variant of each view."""

from __future__ import annotations

from export.evaluate.methods import Cell, Stream, distinct_streams
from export.evaluate.setup import Setup

# Only ratios matter: they weigh the steps of the one bar that is shown.
EPOCH = {"compact": 1.0, "resnet50": 8.0, "vgg16_bn": 25.0}
INT8 = {"compact": 2.0, "resnet50": 10.0, "vgg16_bn": 40.0}
BASELINES = 5.0
VARIANTS = 8


def seed_cost(setup: Setup) -> float:
    """Return the cost of one seed."""
    networks = sum(network_cost(setup, one) for one in distinct_streams(setup.cells))
    cells = sum(cell_cost(cell) for cell in setup.cells) if setup.int8 else 0.0
    return networks + cells + BASELINES


def network_cost(setup: Setup, stream: Stream) -> float:
    """Return the cost of training one network."""
    recipe = setup.recipes[stream.architecture]
    shown = VARIANTS * (1 + setup.config.data.cuts) if recipe.variants == "all" else 1
    return EPOCH[stream.architecture] * recipe.epochs * shown


def cell_cost(cell: Cell) -> float:
    """Return the cost of quantising one classifier and running it."""
    return sum(INT8[stream.architecture] for stream in cell.streams)
