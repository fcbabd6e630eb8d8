"""The emulated GRBL 1.1h against its public documentation, byte by byte, without a port."""

import pytest

from firmware_bridge.board.bench_plant import BenchPlant
from firmware_bridge.drivers.grbl.emulator import (
    ALARM_PAUSE_S,
    BANNER,
    RX_BUFFER,
    UNLOCK_HINT,
    GrblFirmware,
)

SLOW = 10_000.0  # steps a second: 1 mm/s on x and y


class Bench:
    """A controller on the bench: bytes in at a given second, lines out."""

    def __init__(self, **settings: float) -> None:
        self.plant = BenchPlant(steps_per_s=SLOW)
        numbered = {name.removeprefix("s"): value for name, value in settings.items()}
        self.firmware = GrblFirmware(self.plant, name="bench", settings=numbered)
        self.said = ""
        self.firmware.power_on(self._hear, 0.0)

    def _hear(self, data: bytes) -> None:
        self.said += data.decode("ascii")

    def tell(self, data: bytes | str, at_s: float = 0.0) -> list[str]:
        self.said = ""
        self.firmware.receive(data if isinstance(data, bytes) else data.encode(), at_s)
        return [line for line in self.said.split("\r\n") if line]

    def wait(self, until_s: float) -> list[str]:
        self.said = ""
        self.firmware.tick(until_s)
        return [line for line in self.said.split("\r\n") if line]

    def position(self, at_s: float = 0.0) -> str:
        (report,) = self.tell("?", at_s)
        return report.split("|")[1]


@pytest.fixture
def bench() -> Bench:
    ready = Bench(s22=0)  # no homing: it comes up unlocked
    ready.tell("$J=G90G21G53X-5Y-5Z-0.5F6000\n")
    ready.wait(100.0)
    for _ in range(2):  # the first reports after a start tell more
        ready.tell("?")
    return ready


def test_comes_up_locked_until_it_is_homed() -> None:
    bench = Bench()
    bench.plant.steps = (-10_000, 0, 0)  # a second's way from the switch
    assert bench.said.split() == f"{BANNER} {UNLOCK_HINT}".split()
    assert bench.tell("$J=G91X-1F100\n") == ["error:8"]
    assert bench.tell("M3S100\n") == ["error:9"]
    assert bench.tell("$H\n") == []
    assert bench.tell("??") == []  # nothing is reported while homing
    asked, answered = bench.wait(10.0)  # and once at its end, of however many questions
    assert asked.startswith("<Home|MPos:-0.100,")
    assert answered == "ok"
    assert bench.position() == "MPos:-0.100,-0.100,-0.100"


def test_build_info_and_settings() -> None:
    bench = Bench()
    assert bench.tell("$I\n") == ["[VER:1.1h.20190830:BENCH]", "[OPT:V,15,128]", "ok"]
    *dump, ok = bench.tell("$$\n")
    assert {"$130=20.000", "$10=1", "$11=0.010", "$26=250"} <= set(dump)
    assert (len(dump), ok) == (34, "ok")


def test_a_name_is_kept_in_capitals_and_without_spaces(bench: Bench) -> None:
    assert bench.tell("$I=stage 7\n") == ["ok"]
    assert bench.tell("$I\n", 1.0)[0] == "[VER:1.1h.20190830:STAGE7]"


def test_the_first_two_reports_after_a_start_tell_more() -> None:
    bench = Bench()
    assert bench.tell("?")[0].endswith("|WCO:0.000,0.000,0.000>")
    assert bench.tell("?")[0].endswith("|Ov:100,100,100>")
    assert bench.tell("?")[0].endswith("|FS:0,0>")


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("$J=G90X-6", "error:22"),
        ("$J=G90F100", "error:26"),
        ("$J=G90M3X-6F100", "error:16"),
        ("$J=G54X-6F100", "error:16"),
        ("$J=G90X-25F100", "error:15"),
        ("$J=G90X--6F100", "error:2"),
        ("$Q", "error:3"),
        ("$130=-1", "error:4"),
        ("G5X1", "error:20"),
        ("$J=" + "G90" * 30, "error:11"),
    ],
)
def test_refusals_have_grbls_numbers(bench: Bench, line: str, error: str) -> None:
    assert bench.tell(line + "\n") == [error]


def test_homing_that_is_switched_off_is_refused(bench: Bench) -> None:
    assert bench.tell("$H\n") == ["error:5"]


def test_a_jog_is_acknowledged_at_once_and_reported_while_it_runs(bench: Bench) -> None:
    assert bench.tell("$J=G90X-6F60\n") == ["ok"]
    assert bench.tell("?", 0.5)[0].startswith("<Jog|MPos:-5.500,-5.000,-0.500|FS:60,0")
    bench.wait(1.0)
    assert bench.position(1.0) == "MPos:-6.000,-5.000,-0.500"


def test_settings_are_refused_in_motion_and_g_code_in_a_jog(bench: Bench) -> None:
    bench.tell("$J=G90X-6F60\n")
    assert bench.tell("$I\n", 0.1) == ["error:8"]
    assert bench.tell("M3S100\n", 0.1) == ["error:9"]
    assert len(bench.tell("$$\n", 0.1)) == 35  # these may be read


@pytest.mark.parametrize("byte", [b"!", b"\x85"])
def test_hold_and_jog_cancel_slow_a_jog_down_to_a_stand(bench: Bench, byte: bytes) -> None:
    """From 1 mm/s at 2 mm/s²: half a second and a quarter of a millimetre."""
    bench.firmware.settings |= {"120": 2.0}
    bench.tell("$J=G90X-6F60\n")
    bench.tell("$J=G90X-7F60\n")
    bench.tell(byte, 0.25)
    assert bench.tell("?", 0.5)[0].startswith("<Jog|")
    assert bench.tell("M3S100\n", 0.5) == []  # lines wait until it stands
    assert bench.wait(1.0) == ["ok"]
    assert bench.tell("?", 5.0)[0].startswith("<Idle|MPos:-5.500,-5.000,-0.500|FS:0,100")


def test_a_second_cancel_that_meets_the_end_suspends_until_it_is_resumed(bench: Bench) -> None:
    bench.firmware.settings |= {"120": 2.0}
    bench.tell("$J=G90X-6F60\n")
    bench.tell(b"\x85", 0.25)
    bench.tell(b"\x85", 0.748)
    bench.wait(1.0)
    assert bench.tell("?", 1.0)[0].startswith("<Idle|")
    assert bench.tell("M3S100\n", 1.0) == []
    assert bench.tell("~", 1.0) == ["ok"]


def test_a_hold_while_idle_waits_for_resume(bench: Bench) -> None:
    bench.tell("!")
    assert bench.tell("?")[0].startswith("<Hold:0|")
    assert bench.tell("$J=G90X-6F6000\n") == []
    assert bench.tell("~") == ["ok"]


def test_a_reset_in_motion_is_alarm_3_and_locks(bench: Bench) -> None:
    bench.tell("$J=G90X-6F60\n")
    assert bench.tell(b"\x18", 0.5) == ["ALARM:3"]
    assert bench.tell("?$X\n", 0.6) == []  # it is silent for half a second, and forgets
    assert bench.wait(1.0) == [BANNER, UNLOCK_HINT]
    assert bench.tell("$J=G90X-6F60\n", 1.0) == ["error:8"]
    assert bench.tell("$X\n", 1.0) == ["[MSG:Caution: Unlocked]", "ok"]


def test_a_reset_at_rest_keeps_the_position(bench: Bench) -> None:
    assert bench.tell(b"\x18") == [BANNER]
    assert bench.position() == "MPos:-5.000,-5.000,-0.500"


def test_g_code_past_the_soft_limit_is_alarm_2(bench: Bench) -> None:
    assert bench.tell("G0X-25\n") == ["ALARM:2"]
    assert bench.wait(1.0) == ["[MSG:Reset to continue]"]
    assert bench.tell("$I\n", 1.0) == []  # nothing but a reset gets through
    assert bench.tell(b"\x18", 1.0)[0] == BANNER


def test_a_hard_limit_is_alarm_1_and_turns_the_lamp_off(bench: Bench) -> None:
    bench.tell("M3S500\n")
    bench.firmware.trip_hard_limit(0.0)
    assert bench.said.endswith("ALARM:1\r\n")
    assert bench.plant.light is None
    assert bench.wait(1.0) == ["[MSG:Reset to continue]"]


def test_after_a_hard_limit_only_a_reset_gets_through(bench: Bench) -> None:
    bench.firmware.trip_hard_limit(0.0)
    assert bench.tell("\x18", 0.1) == []  # one that comes too early is forgotten
    bench.wait(1.0)
    assert bench.tell("?", 1.0) == []
    assert bench.tell("$X\n", 1.0) == []
    assert "Grbl 1.1h ['$' for help]" in bench.tell("\x18", 1.0)


def test_alarms_silence_it_for_half_a_second_and_no_longer(bench: Bench) -> None:
    bench.tell("$J=G90X-6F60\n")
    bench.tell(b"\x18", 0.5)
    assert bench.firmware.next_event_s() == 0.5 + ALARM_PAUSE_S


def test_a_comment_cuts_a_line_off_without_a_word(bench: Bench) -> None:
    assert bench.tell("M3S5(00\n") == ["ok"]
    assert bench.firmware.spindle == 5
    assert bench.tell("M3(lamp)S7\n") == ["ok"]
    assert bench.firmware.spindle == 7


def test_a_door_stops_and_darkens_until_it_is_resumed(bench: Bench) -> None:
    bench.tell("M3S500\n")
    assert bench.tell(b"\x84") == ["[MSG:Check Door]"]
    assert bench.plant.light is None
    assert bench.tell("?")[0].startswith("<Door:0|")
    bench.tell("~")
    assert bench.plant.light == (0, 128)


def test_soft_limits_cannot_be_set_before_homing(bench: Bench) -> None:
    bench.firmware.settings |= {"20": 0.0, "22": 0.0}
    assert bench.tell("$20=1\n") == ["error:10"]


def test_homing_switched_off_takes_soft_limits_with_it(bench: Bench) -> None:
    bench.firmware.settings |= {"20": 1.0, "22": 1.0}
    bench.tell("$22=0\n")
    assert bench.firmware.settings["20"] == 0


def test_an_eeprom_write_deafens_the_receiver(bench: Bench) -> None:
    assert bench.tell("$110=5000\n") == ["ok"]
    assert bench.tell("?$I\n", 0.005) == []
    assert bench.tell("?", 0.1) != []


def test_the_receive_buffer_holds_127_bytes(bench: Bench) -> None:
    for _ in range(16):  # 15 blocks wait and one runs
        bench.tell("$J=G91X-0.001F1\n")
    bench.tell("\n" * 300)
    assert len(bench.firmware._rx) == RX_BUFFER


def test_the_lamp_stays_on_when_the_host_is_gone_and_a_reset_turns_it_off(bench: Bench) -> None:
    bench.tell("M3S500\n")
    bench.wait(10_000.0)
    assert bench.plant.light == (0, 128)
    bench.tell(b"\x18", 10_000.0)
    assert bench.plant.light is None


def test_a_space_with_its_highest_bit_flipped_switches_the_coolant(bench: Bench) -> None:
    bench.tell(bytes((ord(" ") | 0x80,)))
    assert bench.firmware.flood


def test_g53_makes_a_jog_absolute_even_in_g91(bench: Bench) -> None:
    bench.tell("$J=G91G21G53X-6F6000\n")
    bench.wait(10.0)
    assert bench.position() == "MPos:-6.000,-5.000,-0.500"
