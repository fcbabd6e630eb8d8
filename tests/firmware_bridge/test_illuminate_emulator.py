"""The emulated LED array against illuminate's command list, byte by byte, without a port."""

import json

import pytest

from firmware_bridge.board.bench_plant import BenchPlant
from firmware_bridge.drivers.illuminate.emulator import IlluminateFirmware


class Bench:
    def __init__(self) -> None:
        self.plant = BenchPlant()
        self.firmware = IlluminateFirmware(self.plant, led_count=16)
        self.said = ""
        self.firmware.power_on(self._hear, 0.0)

    def _hear(self, data: bytes) -> None:
        self.said += data.decode("ascii")

    def tell(self, text: str) -> list[str]:
        self.said = ""
        self.firmware.receive(text.encode(), 0.0)
        return self.said.split("\r\n")[:-1]


@pytest.fixture
def bench() -> Bench:
    ready = Bench()
    ready.tell("machine\n")
    return ready


@pytest.mark.parametrize("command", ["x", "bf", "dpc.l", "l.3", "sb.10", "na.40", "nonsense"])
def test_every_reply_ends_alike(bench: Bench, command: str) -> None:
    assert bench.tell(command + "\n")[-1] == "-==-"


def test_replies_are_short_for_machines_and_sentences_for_people(bench: Bench) -> None:
    assert bench.tell("sb.128\n") == ["SB.128", "-==-"]
    assert bench.tell("na.25\n") == ["NA.25", "-==-"]
    bench.tell("human\n")
    assert bench.tell("sb.128\n") == ["Current brightness value is 128.", "-==-"]


def test_properties_are_json(bench: Bench) -> None:
    properties, end = bench.tell("pprops\n")
    assert json.loads(properties)["led_count"] == 16
    assert end == "-==-"


def test_a_new_pattern_replaces_the_last_and_x_clears(bench: Bench) -> None:
    bench.tell("bf\n")
    assert bench.plant.light == (0, 255)
    bench.tell("l.3.4\n")
    assert bench.firmware.lit == ("led 3", "led 4")
    assert bench.plant.light is None
    bench.tell("x\n")
    assert bench.firmware.lit == ()


@pytest.mark.parametrize("command", ["l.16", "l", "sb.256", "dpc.q", "q"])
def test_nonsense_is_an_error_and_changes_nothing(bench: Bench, command: str) -> None:
    bench.tell("bf\n")
    assert bench.tell(command + "\n")[0].startswith("ERROR")
    assert bench.firmware.lit == ("brightfield",)


def test_a_command_during_a_sequence_ends_it_and_is_thrown_away(bench: Bench) -> None:
    bench.tell("scf.500\n")
    bench.tell("bf\n")
    assert bench.firmware.lit == ()
    bench.tell("bf\n")
    assert bench.firmware.lit == ("brightfield",)
