"""Exactly once over a line that drops, doubles and flips bytes, joins, cuts, delays and closes."""

import math
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from firmware_bridge.board.bench_plant import BenchPlant
from firmware_bridge.drivers.native.board import NativeBoard, NativeOptions
from firmware_bridge.drivers.native.emulator import BoardEmulator
from firmware_bridge.errors import DeviceRebooted, PositionUnknown
from firmware_bridge.frames.protocol import STEPS, Opcode, unpack_steps
from firmware_bridge.line.chaos import ChaosProxy
from firmware_bridge.line.faults import Faults, Lane
from runtime.clock import SystemClock


def random_moves(faults, *, moves, seed):
    """Return plant, acknowledged sum, driver and damage of random relative moves."""
    clock, plant, random = SystemClock(), BenchPlant(), Random(seed)
    with (
        BoardEmulator(plant, clock=clock) as emulator,
        ChaosProxy(emulator.port, clock=clock, faults=faults, seed=seed) as line,
    ):
        board = NativeBoard.open(line.port, clock=clock, options=NativeOptions(watchdog_ms=5000))
        board.stage.home()
        x = y = z = 0
        for _ in range(moves):
            delta = (random.randint(-99, 99), random.randint(-99, 99), random.randint(-9, 9))
            reached = unpack_steps(board.command(Opcode.MOVE_BY, STEPS.pack(*delta)).payload)
            x, y, z = x + delta[0], y + delta[1], z + delta[2]
            assert reached == (x, y, z)
        board.close()
    return plant, (x, y, z), board, line.damaged


def test_position_is_the_sum_of_moves_at_one_percent_of_bytes():
    plant, expected, board, damaged = random_moves(Faults.bytewise(0.01), moves=150, seed=1)
    assert plant.steps == expected
    assert plant.moves == 151
    assert damaged > 100
    assert board.retries > 50


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_thousand_moves_at_one_percent_of_bytes():
    plant, expected, _, _ = random_moves(Faults.bytewise(0.01), moves=10_000, seed=2)
    assert plant.steps == expected
    assert plant.moves == 10_001


@pytest.mark.parametrize(
    "faults",
    [
        Faults(delay=0.2, delay_s=0.01, merge=0.2, split=0.3),
        Faults(close=0.0008, reopen_s=0.05),
    ],
    ids=["joined, cut and late", "closed and reopened"],
)
def test_position_is_the_sum_of_moves_on_a_line_that(faults):
    plant, expected, board, _ = random_moves(faults, moves=40, seed=3)
    assert plant.steps == expected
    assert plant.moves == 41
    assert board.session.recoveries > 0 or faults.close == 0


class AnyEvening(RuleBasedStateMachine):
    """The driver over a bad line, with reboots and pulled plugs in any order."""

    @initialize(seed=st.integers(0, 1000))
    def connect(self, seed):
        clock = SystemClock()
        self.plant = BenchPlant()
        self.emulator = BoardEmulator(self.plant, clock=clock)
        self.emulator.start()
        faults = Faults.bytewise(0.003)
        self.line = ChaosProxy(self.emulator.port, clock=clock, faults=faults, seed=seed)
        self.line.start()
        self.board = NativeBoard.open(
            self.line.port, clock=clock, options=NativeOptions(watchdog_ms=5000)
        )
        self.board.stage.home()
        self.rebooted = False
        self.expected = (0, 0, 0)

    def attempt(self, call):
        """Do a thing; a reboot since the last one must be named, once, and then homing helps."""
        if not self.rebooted:
            return call()
        self.rebooted = False
        with pytest.raises(DeviceRebooted):
            call()
        with pytest.raises(PositionUnknown):
            self.board.stage.position()
        self.board.stage.home()
        self.expected = (0, 0, 0)
        return None

    @rule(x=st.integers(-99, 99), z=st.integers(-9, 9))
    def move(self, x, z):
        reached = self.attempt(lambda: self.board.stage.move_by_steps((x, 0, z)))
        if reached is not None:
            self.expected = (self.expected[0] + x, 0, self.expected[2] + z)
            assert reached == self.expected

    @rule(channel=st.sampled_from(["left", "right"]))
    def light(self, channel):
        self.attempt(lambda: self.board.light.on(channel=channel, brightness=1.0))

    @rule()
    def stop(self):
        self.attempt(self.board.stage.stop)

    @rule()
    def reboot(self):
        self.emulator.reboot()
        self.rebooted = True

    @rule()
    def pull_the_plug_for_a_moment(self):
        self.line.close_line()
        self.line.reopen_line()

    @invariant()
    def the_board_is_where_the_driver_says(self):
        if hasattr(self, "board") and not self.rebooted:
            assert self.plant.steps == self.expected
        if hasattr(self, "board") and self.rebooted:
            assert self.plant.light is None

    def teardown(self):
        if hasattr(self, "board"):
            self.board.close()
            self.line.stop()
            self.emulator.stop()


AnyEvening.TestCase.settings = settings(max_examples=8, stateful_step_count=10, deadline=None)
TestAnyEvening = AnyEvening.TestCase


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8), st.integers(0, 99))
def test_lane_neither_loses_nor_reorders_when_it_only_delays(pieces, seed):
    lane = Lane(Faults(delay=0.5, merge=0.3, split=0.5), seed=str(seed))
    for now_s, piece in enumerate(pieces):
        assert not lane.put(piece, now_s / 1000)
    assert lane.take(1e9) == b"".join(pieces)


def test_what_comes_after_a_gap_waits_for_50_to_500_ms_and_loses_nothing():
    lane = Lane(Faults(gap=0.1), seed="a")
    lane.put(bytes(range(200)), 0.0)
    heard, pauses_s, before_s = b"", [], 0.0
    while (due_s := lane.due_s) < math.inf:
        pauses_s += [due_s - before_s] if due_s > before_s else []
        heard, before_s = heard + lane.take(due_s), due_s
    assert heard == bytes(range(200))
    assert 10 < len(pauses_s) < 30
    assert 0.05 <= min(pauses_s) < max(pauses_s) <= 0.5


def test_lane_repeats_itself_for_the_same_seed():
    def through(seed):
        lane = Lane(Faults.bytewise(0.1), seed=seed)
        lane.put(bytes(1000), 0.0)
        return lane.take(0.0), lane.damaged

    assert through("a") == through("a") != through("b")


def test_faults_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"drop is 1.5; it must be 0 to 1"):
        Faults(drop=1.5)
