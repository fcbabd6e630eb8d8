"""The emulated Sangaboard against its public firmware: every quirk, without a port."""

from dataclasses import replace

import pytest

from firmware_bridge.board.bench_plant import BenchPlant
from firmware_bridge.drivers.sangaboard.emulator import (
    LINE_TIMEOUT_S,
    RX_BUFFER,
    V04,
    V1,
    V1_BETA,
    SangaboardBuild,
    SangaboardFirmware,
)

BOOTED_S = 1.0


class Bench:
    """A board on the bench: bytes in at a given second, lines out."""

    def __init__(self, build: SangaboardBuild, **plant: float) -> None:
        self.plant = BenchPlant(**plant)
        self.firmware = SangaboardFirmware(self.plant, build=build)
        self.said = ""
        self.firmware.power_on(self._hear, 0.0)
        self.firmware.tick(BOOTED_S)

    def _hear(self, data: bytes) -> None:
        self.said += data.decode("ascii")

    def tell(self, text: str, at_s: float = BOOTED_S) -> list[str]:
        """Return the lines said because of `text`."""
        self.said = ""
        self.firmware.receive(text.encode(), at_s)
        return self.said.split("\r\n")[:-1]

    def wait(self, until_s: float) -> list[str]:
        self.said = ""
        self.firmware.tick(until_s)
        return self.said.split("\r\n")[:-1]


@pytest.mark.parametrize("build", [V1, V1_BETA, V04], ids=lambda build: build.banner)
def test_says_its_version_on_boot_and_on_request(build: SangaboardBuild) -> None:
    bench = Bench(build)
    assert bench.said == build.banner + "\r\n"
    assert bench.tell("version\n") == [build.banner]


def test_v1_matches_commands_by_their_beginning() -> None:
    bench = Bench(V1)
    assert bench.tell("pxyz\n") == ["0 0 0"]
    assert bench.tell("movingwhatever\n") == ["false"]
    assert bench.tell("nonsense\n")[0].startswith("Command not recognised")


def test_a_truncated_line_runs_a_second_later() -> None:
    bench = Bench(replace(V1, step_delay_us=0))
    assert bench.tell("mr 5 6 7") == []
    assert bench.wait(BOOTED_S + 0.9 * LINE_TIMEOUT_S) == []
    bench.wait(BOOTED_S + LINE_TIMEOUT_S)
    bench.wait(BOOTED_S + LINE_TIMEOUT_S)
    assert bench.plant.steps == (5, 6, 7)


def test_two_commands_run_together_act_as_the_first() -> None:
    bench = Bench(replace(V1_BETA, step_delay_us=0))
    bench.tell("mrx 10mrx 20\n")
    assert bench.tell("p?\n") == ["10 0 0"]


def test_v1_beta_wraps_single_axis_moves_at_16_bits() -> None:
    bench = Bench(replace(V1_BETA, step_delay_us=0))
    bench.tell("mrx 40000\n")
    assert bench.tell("p?\n") == [f"{40000 - 65536} 0 0"]
    bench.tell("mr 40000 0 0\n")
    assert bench.tell("p?\n") == [f"{80000 - 65536} 0 0"]


@pytest.mark.parametrize("line", ["mr\n", "mr 1 2\n", "mrx\n"])
def test_missing_arguments_bring_v1_down(line: str) -> None:
    bench = Bench(V1_BETA)
    bench.tell(line)
    assert bench.firmware.crashes == 1
    assert bench.wait(BOOTED_S + 1.0) == [V1_BETA.banner]


def test_v04_is_deaf_while_it_moves_and_runs_afterwards_what_it_was_sent() -> None:
    bench = Bench(V04)
    assert bench.tell("mr 1000 0 0\n") == []
    assert bench.tell("mr 0 500 0\np?\n", BOOTED_S + 0.5) == []
    assert bench.wait(BOOTED_S + 1.0) == ["done."]
    assert bench.wait(BOOTED_S + 1.1) == []  # the second move has begun on its own
    assert bench.wait(BOOTED_S + 2.0) == ["done."]
    assert bench.wait(BOOTED_S + 2.1) == ["1000 500 0"]


def test_what_does_not_fit_the_buffer_of_a_busy_board_is_lost() -> None:
    bench = Bench(V04)
    bench.tell("mr 1000 0 0\n")
    bench.tell("version\n" * 40, BOOTED_S + 0.5)
    bench.wait(BOOTED_S + 1.0)
    assert bench.wait(BOOTED_S + 1.1) == [V04.banner] * (RX_BUFFER // len("version\n"))


def test_an_eeprom_write_keeps_the_board_busy() -> None:
    bench = Bench(V1_BETA)
    assert bench.tell("dt 500\n") == ["done."]
    assert bench.tell("p?\n", BOOTED_S + 0.001) == []
    assert bench.wait(BOOTED_S + 0.1) == ["0 0 0"]


@pytest.mark.parametrize(
    ("blocking", "first", "last"), [("true", [], ["stopped"]), ("false", ["done."], [])]
)
def test_v1_says_when_a_move_ends_only_if_it_blocks(
    blocking: str, first: list[str], last: list[str]
) -> None:
    bench = Bench(V1)
    bench.tell(f"blocking_moves {blocking}\n")
    assert bench.tell("mr 100 0 0\n") == first
    assert bench.tell("moving?\n", BOOTED_S + 0.05) == ["true"]
    assert bench.wait(BOOTED_S + 0.1) == last


def test_stop_keeps_the_count_of_the_steps_made() -> None:
    bench = Bench(V1, steps_per_s=1000.0)
    bench.tell("mr 1000 0 0\n")
    assert bench.tell("stop\n", BOOTED_S + 0.25) == ["Move aborted"]
    assert bench.tell("p?\n", BOOTED_S + 9.0) == ["250 0 0"]
    assert bench.plant.steps == (250, 0, 0)


def test_leds_are_reported_and_set_by_absolute_values() -> None:
    bench = Bench(V1)
    assert bench.tell("led_channels?\n") == ["CC:1 PWM:2"]
    bench.tell("led_pwm 1 0.5\n")
    assert bench.plant.light == (2, 128)
    bench.tell("led_pwm 1 0\n")
    assert bench.plant.light is None
    assert Bench(V1_BETA).tell("led_channels?\n") == ["Type 'help' for a list of commands."]


def test_endstop_builds_print_numbers_nobody_asked_for() -> None:
    bench = Bench(replace(V1, endstops=True, step_delay_us=0))
    said = bench.tell("home_min 7\n")
    for second in range(2, 9):
        said += bench.wait(BOOTED_S + second)
    assert {"-1", "-2", "-3"} <= set(said)
    assert bench.tell("p?\n", BOOTED_S + 9) == ["5000 5000 5000"]


def test_after_a_reset_the_position_is_what_was_stored_not_where_it_is() -> None:
    bench = Bench(replace(V1_BETA, step_delay_us=0))
    bench.tell("mr 700 0 0\n")
    bench.firmware.power_off(BOOTED_S)
    bench.firmware.power_on(bench._hear, BOOTED_S)
    bench.wait(2 * BOOTED_S)
    assert bench.tell("p?\n", 2 * BOOTED_S) == ["0 0 0"]
    assert bench.plant.steps == (700, 0, 0)
