"""The C core and the Python reference give the same outcomes to any conversation."""

import ctypes
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge.board.bench_plant import BenchPlant
from firmware_bridge.board.board import Board
from firmware_bridge.frames.codec import Frame, FrameSplitter, FrameType, encode
from firmware_bridge.frames.protocol import NO_NONCE, STEPS, HelloRequest, Kind, Opcode, State
from firmware_bridge.plant import AxisDescription, BoardDescription
from tests.firmware.built import BUILD, build

pytestmark = [pytest.mark.firmware, pytest.mark.xdist_group("firmware")]
NONCE = 0x5EED0001
SENT_BYTES = 4096
STEP_MS = 100
Outcome = tuple[int, int, int, int, bytes]
Operation = Callable[["Pair"], None]


class Core:
    """The C core on its bench."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library, self._splitter = library, FrameSplitter()
        library.bench_boot(ctypes.c_int32(40))

    @property
    def busy(self) -> bool:
        return bool(self._library.state_flags() & State.MOVING)

    def feed(self, frame: Frame) -> None:
        wire = encode(frame)
        self._library.bench_feed(wire, len(wire))

    def step(self) -> None:
        self._library.bench_pass(STEP_MS)

    def sent(self) -> list[Frame]:
        buffer = ctypes.create_string_buffer(SENT_BYTES)
        count = self._library.bench_take(buffer)
        return self._splitter.feed(buffer.raw[:count])

    def describe(self) -> BoardDescription:
        """Return what the core says of itself, for the reference to say the same."""

        def ask(kind: Kind, index: int) -> bytes:
            self.feed(_frame(1, 0, Opcode.DESCRIBE, bytes((kind, index))))
            return self.sent()[0].payload

        self.feed(_frame(1, 0, Opcode.HELLO, HelloRequest(watchdog_ms=5000).pack()))
        hello = self.sent()[0].payload
        channels = hello[15]
        names = []
        for index in range(channels):
            self.feed(_frame(1, 8 * index + 1, Opcode.DESCRIBE, bytes((Kind.CHANNEL, index))))
            names.append(self.sent()[0].payload.decode())
        return BoardDescription(
            unique_id=ask(Kind.UNIQUE_ID, 0).decode(),
            axes=(
                AxisDescription(name="x", step_nm=250, limits_steps=(0, 200_000)),
                AxisDescription(name="y", step_nm=250, limits_steps=(0, 100_000)),
                AxisDescription(name="z", step_nm=50, limits_steps=(0, 40_000)),
            ),
            channels=tuple(names),
            objectives=(),
        )


class Pair:
    """Core and reference, told the same at the same time."""

    def __init__(self, library: ctypes.CDLL, description: BoardDescription) -> None:
        self.core = Core(library)
        self._said: list[Frame] = []
        self._now_ms = 0
        self._session = 0
        self.told: list[Frame] = []
        self._used: dict[tuple[int, int, int], Frame] = {}
        plant = BenchPlant(board=description)
        self._board = Board(plant, send=self._said.append, boot_nonce=NONCE, trigger=plant.trigger)

    def tell(self, frame: Frame) -> None:
        """Both hear a frame, and then rest long enough for what it began.

        A board remembers no payloads: one id for two ways is not said. One id for two opcodes is.
        """
        key = (frame.session, frame.command_id, frame.opcode)
        if self._used.setdefault(key, frame) != frame:
            return
        self.told.append(frame)
        if frame.opcode == Opcode.HELLO and frame.payload == _greet(NO_NONCE):
            self._session = frame.session
        self._hear(frame)
        while self.core.busy:
            self.rest()
            self._hear(_frame(self._session, 0, Opcode.HEARTBEAT))

    def rest(self) -> None:
        """Time passes."""
        self._now_ms += STEP_MS
        self.core.step()
        self._board.tick(self._now_ms / 1000)

    def agree(self) -> None:
        """Both have come to the same outcomes, in the same order."""
        core = [_outcome(frame) for frame in self.core.sent() if frame.type != FrameType.ACCEPTED]
        reference = [_outcome(f) for f in self._said if f.type != FrameType.ACCEPTED]
        assert core == reference
        self._said.clear()

    def _hear(self, frame: Frame) -> None:
        self.core.feed(frame)
        self._board.receive(frame, self._now_ms / 1000)


def _frame(session: int, command_id: int, opcode: int, payload: bytes = b"") -> Frame:
    return Frame(
        type=FrameType.REQUEST,
        session=session,
        command_id=command_id,
        opcode=opcode,
        payload=payload,
    )


def _outcome(frame: Frame) -> Outcome:
    return (frame.type, frame.session, frame.command_id, frame.opcode, frame.payload)


def _greet(nonce: int) -> bytes:
    return HelloRequest(watchdog_ms=5000, boot_nonce=nonce).pack()


SHORT_WAY = st.builds(STEPS.pack, *[st.integers(-250, 250)] * 3)
FAR_WAY = st.builds(STEPS.pack, *[st.integers(-(2**31), 2**31 - 1)] * 3)
NEAR_PLACE = st.builds(STEPS.pack, *[st.integers(-3, 300)] * 3)
COMMANDS = st.one_of(
    st.tuples(st.just(Opcode.HELLO), st.sampled_from([NO_NONCE, NONCE, 7]).map(_greet)),
    st.tuples(st.just(Opcode.MOVE_BY), SHORT_WAY | FAR_WAY),
    st.tuples(st.just(Opcode.MOVE_TO), NEAR_PLACE),
    st.tuples(st.just(Opcode.LIGHT), st.binary(min_size=2, max_size=2)),
    st.tuples(
        st.just(Opcode.DESCRIBE),
        st.builds(lambda k, i: bytes((k, i)), st.integers(0, 4), st.integers(0, 40)),
    ),
    st.tuples(st.just(Opcode.TURRET), st.binary(min_size=1, max_size=1)),
    st.tuples(
        st.sampled_from([Opcode.HOME, Opcode.STATUS, Opcode.STOP, Opcode.REARM, Opcode.GOODBYE]),
        st.just(b""),
    ),
    st.tuples(st.integers(0, 255), st.binary(max_size=13)),
)
FRAMES = st.builds(
    lambda session, command_id, command: _frame(session, command_id, *command),
    st.sampled_from([5, 5, 5, 6]),
    st.integers(1, 20) | st.sampled_from([0x7FFF, 0x8001, 0xFFFF]),
    COMMANDS,
)
RESTS = st.sampled_from([1, 1, 60])
# Say again what was said so many frames ago.
REPEATS = st.integers(-12, -1)


@pytest.fixture(scope="module")
def library(compiler: None) -> ctypes.CDLL:
    target = BUILD / "libbench.so"
    build(target)
    return ctypes.CDLL(str(target))


@settings(max_examples=500, deadline=None)
@given(lines=st.lists(FRAMES | REPEATS | RESTS, max_size=25))
def test_same_outcomes(library: ctypes.CDLL, lines: list[Frame | int]) -> None:
    pair = Pair(library, Core(library).describe())
    pair.tell(_frame(5, 0, Opcode.HELLO, _greet(NO_NONCE)))
    pair.tell(_frame(5, 32, Opcode.HOME))
    pair.agree()
    for line in lines:
        if isinstance(line, Frame):
            pair.tell(line)
        elif line < 0:
            pair.tell(pair.told[max(line, -len(pair.told))])
        else:
            for _ in range(line):
                pair.rest()
        pair.agree()
