"""What a matcher is taught and judged by, on numbers small enough to count by hand."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from numpy.typing import NDArray
from torch import Tensor

from export.datasets.pairs.made import MadeSource
from export.networks.loftr.matching import choices, log_dual_softmax
from export.networks.loftr.network import Loftr, PairFeatures
from export.networks.loftr.sizes import LoftrSizes
from export.tasks.match.judge import chosen, enough, measure
from export.tasks.match.loss import NOWHERE, WITHIN, Truth, choice_loss, offset_loss
from export.tasks.match.pairs import PLACES, PairSamples
from export.training.task import Arrays
from runtime.tasks.match.matcher import matches
from runtime.tasks.match.record import STRIPS

pytestmark = pytest.mark.export
NAN = float("nan")
# Two rows of three cells.
CELLS = (2, 3)


def truth_of(*places: tuple[float, float], cells: tuple[int, int] = CELLS) -> Truth:
    return Truth.of(torch.tensor([places]), cells)


@pytest.mark.parametrize(
    ("place", "partner"),
    [
        ((0.0, 0.0), 0),
        ((8.0, 16.0), 5),
        ((3.9, 4.1), 1),
        ((4.1, 3.9), 3),
        ((-3.9, 19.9), 2),
        ((11.9, -3.9), 3),
        ((12.1, 0.0), None),
        ((-4.1, 0.0), None),
        ((0.0, 20.1), None),
        ((0.0, -4.1), None),
        ((NAN, NAN), None),
    ],
)
def test_a_place_belongs_to_the_nearest_cell_or_to_none(
    place: tuple[float, float], partner: int | None
) -> None:
    truth = truth_of(place)
    assert truth.seen.tolist() == [[partner is not None]]
    assert truth.partner.tolist() == [[partner or 0]]
    assert torch.equal(truth.places_px.isnan(), torch.tensor([[place]]).isnan())


# Cells 0 to 3 lie in cells 1, 0, 5, 2; 4 and 5 lie nowhere.
TRUTH_OF_SIX = truth_of((0, 8), (0, 0), (8, 16), (0, 16), (NAN, NAN), (100, 0))


def said(*sure: tuple[int, int, float]) -> Tensor:
    """Return the logarithms of confidences: 1e-9 but where a cell is so sure of another."""
    confidence = torch.full((1, 6, 6), 1e-9)
    for cell, other, value in sure:
        confidence[0, cell, other] = value
    return confidence.log()


RIGHT = [(0, 1, 0.999), (1, 0, 0.999), (2, 5, 0.999), (3, 2, 0.999)]


def test_a_network_that_is_right_pays_nearly_nothing() -> None:
    assert float(choice_loss(said(*RIGHT), TRUTH_OF_SIX)) < 1e-6


def test_a_cell_that_is_missed_costs_the_focal_loss_of_its_true_choice() -> None:
    loss = choice_loss(said(*RIGHT[:3], (3, 4, 0.9), (3, 2, 0.1)), TRUTH_OF_SIX)
    assert float(loss) == pytest.approx(0.9**2 * -np.log(0.1) / 4, rel=1e-3)


@pytest.mark.parametrize("sure", [0.3, 0.9])
def test_a_place_that_is_made_up_costs_the_more_the_surer_it_is(sure: float) -> None:
    loss = choice_loss(said(*RIGHT, (4, 3, sure)), TRUTH_OF_SIX)
    assert float(loss) == pytest.approx(NOWHERE * sure**2 * -np.log(1 - sure) / 2, rel=1e-3)


def test_pairs_of_which_every_cell_or_none_is_seen_have_a_loss_and_a_gradient() -> None:
    nowhere, everywhere = truth_of(*[(NAN, NAN)] * 6), truth_of(*[(8.0, 8.0)] * 6)
    for truth in (nowhere, everywhere):
        similarity = torch.zeros(1, 6, 6, requires_grad=True)
        choice_loss(log_dual_softmax(similarity), truth).backward()
        assert similarity.grad is not None
        assert similarity.grad.isfinite().all()
    # As sure as can be of a place that is none.
    certain = torch.zeros(1, 6, 6, requires_grad=True)
    loss = choice_loss(certain, nowhere)
    loss.backward()
    assert certain.grad is not None
    assert float(loss.detach()) > 1
    assert certain.grad.isfinite().all()
    assert (certain.grad.sum(dim=2) > 0).all()


class Known(Loftr):
    """Says of every cell of the first picture the same about whatever partner it is asked for."""

    def __init__(self, says_px: list[tuple[float, float]]) -> None:
        super().__init__(LoftrSizes(stem=4, widths=(4, 4, 4), heads=1, pairs=1, fine="none"))
        self.says_px = torch.tensor([says_px])
        self.asked: list[list[int]] = []

    def offset_px(self, seen: PairFeatures, partner: Tensor) -> Tensor:
        self.asked = partner.tolist()
        return self.says_px


def features(log_confidence: Tensor) -> PairFeatures:
    cells = torch.zeros(1, log_confidence.shape[1], 4)
    return PairFeatures(a=cells, b=cells, log_confidence=log_confidence, fine=None)


def test_the_right_place_within_the_right_cell_costs_nothing() -> None:
    truth = truth_of((1.0, 7.0), (-2.0, 0.5), (8.0, 18.0), (NAN, NAN), (3.0, 13.0), (100, 0))
    off = [(1.0, -1.0), (-2.0, 0.5), (0.0, 2.0), (9.0, 9.0), (3.0, -3.0), (9.0, 9.0)]
    network, right = Known(off), said((0, 1, 1.0), (1, 0, 1.0), (2, 5, 1.0), (4, 2, 1.0))
    assert float(offset_loss(network, features(right), truth, 3)) == 0
    assert [network.asked[0][cell] for cell in (0, 1, 2, 4)] == [1, 0, 5, 2]
    network.says_px = network.says_px + 1.0
    loss = offset_loss(network, features(right), truth, 3)
    assert float(loss) == pytest.approx(WITHIN * 0.5)


def test_a_network_that_chose_the_cell_beside_answers_for_that_one() -> None:
    """Of four columns: the true cell is 5, that beside it is 6, and 4 cells off is not beside."""
    truth = truth_of((8.0, 10.0), (8.0, 0.0), (0.0, 0.0), cells=(2, 4))
    wrong = torch.full((1, 3, 8), -9.0)
    wrong[0, 0, 6], wrong[0, 1, 3], wrong[0, 2, 5] = -0.1, -0.1, -0.1
    network = Known([(0.0, -6.0), (0.0, 0.0), (-8.0, -8.0)])
    loss = offset_loss(network, features(wrong), truth, 4)
    # The end of a row is not beside the beginning of the next; a cell across the corner is.
    assert network.asked == [[6, 4, 5]]
    assert float(loss) == 0


def outputs_of(partner: list[int], back: list[int], sure: list[float]) -> Arrays:
    return {
        "partner": np.array([partner]),
        "back_partner": np.array([back]),
        "confidence": np.array([sure], np.float32),
        "offset_px": np.zeros((1, len(partner), 2), np.float32),
    }


def test_cells_are_counted_that_choose_each_other_and_lie_where_they_should() -> None:
    """Six cells, of which five can be seen in both. Matched: 0 right, 1 off by 2 px, 2 off by 5 px,
    4, which lies nowhere; not: 3, whose choice wants another, and 5, which is not sure."""
    outputs = outputs_of([0, 1, 2, 4, 3, 5], [0, 1, 2, 4, 5, 5], [0.9, 0.9, 0.9, 0.9, 0.9, 0.2])
    places = [(0, 0.5), (0, 10), (5, 16), (8, 8), (NAN, NAN), (8, 16)]
    found = measure(outputs, np.array([places], np.float32), columns=3)
    assert found == pytest.approx({"matched": 2 / 5, "precision": 2 / 4, "within_1px": 1 / 2})


def test_offsets_count_towards_the_place() -> None:
    outputs = outputs_of([4], [0] * 6, [0.9])
    outputs["offset_px"] = np.array([[[-3.0, 2.0]]], np.float32)
    right = np.array([[[8 - 3, 8 + 2]]], np.float32)
    assert measure(outputs, right, columns=3)["within_1px"] == 1
    assert measure(outputs, right + 3, columns=3)["matched"] == 0


def test_the_share_of_nothing_is_nothing() -> None:
    outputs = outputs_of([0, 0], [1, 1], [0.9, 0.1])
    nowhere = np.full((1, 2, 2), NAN, np.float32)
    assert set(measure(outputs, nowhere, columns=2).values()) == {0.0}


def test_eight_matches_are_enough_and_seven_are_not() -> None:
    cells = list(range(9))
    enoughs = [outputs_of(cells, cells, [0.9] * count + [0.1] * (9 - count)) for count in (7, 8, 9)]
    assert [bool(enough(one)[0]) for one in enoughs] == [False, True, True]


def test_what_is_judged_is_what_the_device_tells() -> None:
    generator = torch.Generator().manual_seed(0)
    logs = log_dual_softmax(4 * torch.randn(3, 24, 24, generator=generator))
    found = choices(logs)
    outputs: dict[str, NDArray[np.float32]] = {
        "partner": found.partner.numpy(),
        "back_partner": found.back_partner.numpy(),
        "confidence": found.confidence.numpy(),
        "offset_px": torch.randn(3, 24, 2, generator=generator).numpy(),
    }
    kept = chosen(outputs)
    assert 5 < kept.sum() < 60
    told_px = []
    for pair in range(3):
        one = {name: array[pair : pair + 1] for name, array in outputs.items()}
        told = matches(one, columns=6, least=0.2)
        cells = told.first_px[:, 1] // 8 * 6 + told.first_px[:, 0] // 8
        assert np.array_equal(cells, np.flatnonzero(kept[pair]))
        places = np.full((24, 2), NAN, np.float32)
        places[kept[pair]] = told.second_px[:, ::-1]
        told_px.append(places)
    judged = measure(outputs, np.stack(told_px), columns=6)
    assert judged == {"matched": 1.0, "precision": 1.0, "within_1px": 1.0}


@pytest.fixture
def one_thread() -> Iterator[None]:
    """More than one wait for each other longer than a network so small takes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_a_few_steps_teach_a_tiny_network_a_few_pairs() -> None:
    """Both terms fall, so that each has a gradient that leads somewhere."""
    torch.manual_seed(0)
    sizes = LoftrSizes(
        stem=8, widths=(8, 8, 8), blocks=(1, 1, 1), heads=2, pairs=1, fine="offset",
        similarity="cosine",
    )  # fmt: skip
    network = Loftr(sizes)
    samples = PairSamples(source=MadeSource(), count=3, shape=(32, 64), seed=0)
    shown = [samples.read(index, None) for index in range(3)]
    first, second = torch.from_numpy(np.stack([one.inputs[STRIPS] for one in shown])).unbind(1)
    truth = Truth.of(torch.from_numpy(np.stack([one.targets[PLACES] for one in shown])), (4, 8))
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-2)
    told = []
    for _ in range(40):
        seen = network.see(first, second)
        terms = choice_loss(seen.log_confidence, truth), offset_loss(network, seen, truth, 8)
        told.append([float(term.detach()) for term in terms])
        optimiser.zero_grad()
        sum(terms, torch.zeros(())).backward()
        optimiser.step()
    assert told[-1][0] < 0.3 * told[0][0]
    assert told[-1][1] < 0.5 * told[0][1]
