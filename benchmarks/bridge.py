"""The serial bridge against plain pyserial (speed) and against naive resending (exactness).

    python benchmarks/bridge.py
    python benchmarks/bridge.py --moves 10000 --seeds 3

Round trip: one STATUS through the session against the same frame written and read with plain
pyserial, turn about on the same pty in this process; p50, p99 and processor time per command (both
include the emulated board). Exactness: random relative moves while the line drops, doubles and
flips one byte in a hundred each; the peer sends the same checked frames, but a command that is not
answered in time is sent anew instead of repeated under its id.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from random import Random

import serial

from firmware_bridge.board.bench_plant import BenchPlant
from firmware_bridge.drivers.native.board import NativeBoard, NativeOptions
from firmware_bridge.drivers.native.emulator import BoardEmulator
from firmware_bridge.frames.codec import DELIMITER, Frame, FrameSplitter, FrameType, encode
from firmware_bridge.frames.protocol import STEPS, HelloRequest, Opcode
from firmware_bridge.line.chaos import ChaosProxy
from firmware_bridge.line.faults import Faults
from firmware_bridge.line.transport import open_port
from firmware_bridge.plant import Steps
from runtime.clock import SystemClock

CLOCK = SystemClock()
BLOCKS, PER_BLOCK = 10, 300
FAULT_RATE = 0.01
NAIVE_TIMEOUT_S = 0.01
SESSION = 1


class PlainHost:
    """Frames over pyserial without ids that mean anything: every sending is a new command."""

    def __init__(self, port: str) -> None:
        self._line: serial.Serial = open_port(port)
        self._line.timeout = NAIVE_TIMEOUT_S
        self._splitter = FrameSplitter()
        self._id = 0
        self.until_done(Opcode.HELLO, HelloRequest(watchdog_ms=5000).pack())

    def send(self, opcode: Opcode, payload: bytes = b"") -> None:
        """Write one new command."""
        self._id = (self._id + 1) % 0x10000
        self._line.write(
            encode(
                Frame(
                    type=FrameType.REQUEST,
                    session=SESSION,
                    command_id=self._id,
                    opcode=opcode,
                    payload=payload,
                )
            )
        )

    def status(self) -> None:
        """Make the plainest round trip: write, then read up to the second delimiter."""
        self.send(Opcode.STATUS)
        reply = b""
        while reply.count(DELIMITER) < 2:
            reply += self._line.read(max(1, self._line.in_waiting))

    def until_done(self, opcode: Opcode, payload: bytes = b"") -> None:
        """Send, and send anew whenever no DONE comes in time."""
        done = False
        while not done:
            self.send(opcode, payload)
            done = self._done(opcode)

    def close(self) -> None:
        """Release the port."""
        self._line.close()

    def _done(self, opcode: Opcode) -> bool:
        deadline_s = CLOCK.now_s() + NAIVE_TIMEOUT_S
        while CLOCK.now_s() < deadline_s:
            for frame in self._splitter.feed(self._line.read(max(1, self._line.in_waiting))):
                if frame.type == FrameType.DONE and frame.opcode == opcode:
                    return True
        return False


def timed(call: Callable[[], object]) -> tuple[list[float], float]:
    """Return the milliseconds of each of PER_BLOCK calls, and processor ms per call."""
    durations_ms = []
    cpu_s = time.process_time()
    for _ in range(PER_BLOCK):
        began_s = time.perf_counter()
        call()
        durations_ms.append((time.perf_counter() - began_s) * 1000)
    return durations_ms, (time.process_time() - cpu_s) * 1000 / PER_BLOCK


def round_trips() -> None:
    """Time both hosts turn about on one pty and print the comparison."""
    results: dict[str, list[tuple[list[float], float]]] = {"session": [], "pyserial": []}
    with BoardEmulator(BenchPlant(), clock=CLOCK) as emulator:
        for _ in range(BLOCKS):
            board = NativeBoard.open(
                emulator.port, clock=CLOCK, options=NativeOptions(watchdog_ms=5000)
            )
            results["session"].append(timed(lambda: board.command(Opcode.STATUS)))  # noqa: B023
            board.close()
            plain = PlainHost(emulator.port)
            results["pyserial"].append(timed(plain.status))
            plain.close()
    medians = {}
    for name, blocks in results.items():
        every_ms = sorted(ms for block, _ in blocks for ms in block)
        medians[name] = statistics.median(every_ms)
        print(
            f"round trip {name:9} p50 {medians[name]:.3f} ms  "
            f"p99 {every_ms[int(0.99 * len(every_ms))]:.3f} ms  "
            f"processor {statistics.median(cpu for _, cpu in blocks):.3f} ms per command"
        )
    print(f"round trip session / pyserial: {medians['session'] / medians['pyserial']:.2f}")


def random_delta(random: Random) -> Steps:
    """Return a small relative move."""
    return random.randint(-99, 99), random.randint(-99, 99), random.randint(-9, 9)


def errors_steps(*, moves: int, seed: int, naive: bool) -> tuple[int, str]:
    """Return how many steps off the stage ended, and a remark on what it took."""
    plant, random = BenchPlant(), Random(seed)
    x = y = z = 0
    longest_s, began_s = 0.0, CLOCK.now_s()
    with (
        BoardEmulator(plant, clock=CLOCK) as emulator,
        ChaosProxy(
            emulator.port, clock=CLOCK, faults=Faults.bytewise(FAULT_RATE), seed=seed
        ) as line,
    ):
        host = PlainHost(line.port) if naive else NativeBoard.open(line.port, clock=CLOCK)
        command = host.until_done if isinstance(host, PlainHost) else host.command
        command(Opcode.HOME)
        for _ in range(moves):
            delta = random_delta(random)
            move_s = CLOCK.now_s()
            command(Opcode.MOVE_BY, STEPS.pack(*delta))
            longest_s = max(longest_s, CLOCK.now_s() - move_s)
            x, y, z = x + delta[0], y + delta[1], z + delta[2]
        host.close()
    took_s = CLOCK.now_s() - began_s
    remark = f"{plant.moves - 1} executed, {moves / took_s:.0f} moves/s, longest {longest_s:.2f} s"
    if isinstance(host, NativeBoard):
        remark += f", {host.retries} repetitions, {host.session.recoveries} recoveries"
    return max(abs(a - b) for a, b in zip(plant.steps, (x, y, z), strict=True)), remark


def main() -> None:
    """Print both comparisons."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moves", type=int, default=500, metavar="N")
    parser.add_argument("--seeds", type=int, default=1, metavar="N")
    wanted = parser.parse_args()
    round_trips()
    for seed in range(1, wanted.seeds + 1):
        for naive in (False, True):
            off, remark = errors_steps(moves=wanted.moves, seed=seed, naive=naive)
            scheme = "naive resend" if naive else "session"
            print(f"seed {seed} {scheme:12} {wanted.moves} moves: {off} steps off ({remark})")


if __name__ == "__main__":
    main()
