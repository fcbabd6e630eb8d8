"""Detection: the handshake decides, descriptors only order, and every rejection has a reason."""

import os
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from serial.tools.list_ports_common import ListPortInfo

from firmware_bridge.board.bench_plant import BenchPlant
from firmware_bridge.board.pty_host import PtyHost
from firmware_bridge.drivers.grbl.emulator import GrblFirmware
from firmware_bridge.drivers.registry import BRANDS, brand, names
from firmware_bridge.errors import FirmwareIncompatible, PortAbsent, PortBusy, Rejected
from firmware_bridge.find.detect import PortFinding, identify, locate, probe, resolve
from firmware_bridge.find.likely import likely_brands, rank
from firmware_bridge.line import inventory
from firmware_bridge.line.inventory import PortRecord
from firmware_bridge.line.transport import Transport
from runtime.clock import SystemClock
from tests.boards.bench import benches

CLOCK = SystemClock()
Plug = Callable[..., None]
BENCHES = {bench.name: bench for bench in benches()}


@pytest.fixture
def silent_port() -> Iterator[str]:
    master, slave = os.openpty()
    tty.setraw(slave)
    yield os.ttyname(slave)
    os.close(master)
    os.close(slave)


def only(findings: list[PortFinding]) -> PortFinding:
    (finding,) = findings
    return finding


@pytest.mark.parametrize("name", BENCHES)
def test_the_handshake_names_the_driver(name: str) -> None:
    bench = BENCHES[name]
    with bench.emulate().host as board:
        finding = only(probe([board.port], clock=CLOCK))
    assert finding.usable
    assert finding.driver == bench.brand
    assert finding.failsafe is brand(bench.brand).failsafe
    assert set(finding.offers) == bench.parts


def test_what_is_no_board_says_why_for_every_driver(silent_port: str) -> None:
    finding = only(probe([silent_port], clock=CLOCK))
    assert finding.driver is None
    assert finding.rejected[0] == "native: no answer to HELLO"
    assert [reason.partition(":")[0] for reason in finding.rejected] == list(names())


def test_absent_and_busy_ports_are_findings(silent_port: str) -> None:
    holder = Transport(silent_port, received=lambda _: None, lost=lambda _: None)
    absent, busy = probe(["/dev/no-such-port", silent_port], clock=CLOCK)
    holder.close()
    assert "cannot be opened" in absent.rejected[0]
    assert "in use" in busy.rejected[0]


def test_what_is_to_be_done_about_a_port_is_said_once(silent_port: str) -> None:
    with pytest.raises(PortAbsent, match="cannot be opened; value /dev/no-such-port") as caught:
        locate("/dev/no-such-port", clock=CLOCK)
    assert str(caught.value).count("check cable") == 1
    holder = Transport(silent_port, received=lambda _: None, lost=lambda _: None)
    with pytest.raises(PortBusy, match="close the other program") as busy:
        locate(silent_port, clock=CLOCK)
    holder.close()
    assert "check cable" not in str(busy.value)


def test_a_board_that_cannot_be_driven_is_named_with_the_reason() -> None:
    firmware = GrblFirmware(BenchPlant(), settings={"20": 0.0})
    with PtyHost(firmware, clock=CLOCK) as board:
        finding = only(probe([board.port], clock=CLOCK))
    assert finding.driver == "grbl"
    assert not finding.usable
    assert "$20=1" in finding.rejected[0]


def test_probing_moves_nothing_and_lights_nothing() -> None:
    plant = BenchPlant()
    with PtyHost(GrblFirmware(plant), clock=CLOCK) as board:
        probe([board.port], clock=CLOCK)
    assert plant.moves == 0
    assert plant.light is None


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> Plug:
    """Plug pseudo-terminals into this computer's inventory of ports: serial numbers to ports."""

    def plug(**ports: str) -> None:
        found = []
        for number, device in ports.items():
            info = ListPortInfo(device)
            info.serial_number = number
            found.append(info)
        monkeypatch.setattr(inventory.list_ports, "comports", lambda: found)

    return plug


def test_a_board_is_pinned_by_its_id_wherever_it_is_plugged_in(plugged: Plug) -> None:
    with BENCHES["grbl"].emulate().host as grbl, BENCHES["illuminate"].emulate().host as array:
        plugged(A1=array.port, G1=grbl.port)
        assert resolve("id:stage-7", clock=CLOCK).port.device == grbl.port
        assert resolve("id:STAGE-7", clock=CLOCK).port.device == grbl.port
        assert resolve(array.port, clock=CLOCK).driver == "illuminate"
        with pytest.raises(
            PortAbsent, match=r"id:stage-8.*illuminate with light, id illuminate-21"
        ):
            resolve("id:stage-8", clock=CLOCK)


def test_a_board_is_pinned_by_the_number_of_its_plug(plugged: Plug) -> None:
    with BENCHES["grbl"].emulate().host as grbl, BENCHES["illuminate"].emulate().host as array:
        plugged(A1=array.port, G1=grbl.port)
        assert locate("serial:G1", clock=CLOCK) == (grbl.port, "grbl")
        assert locate("serial:A1", driver="illuminate", clock=CLOCK) == (array.port, "illuminate")
        with pytest.raises(PortAbsent, match="no such port"):
            locate("serial:B1", driver="grbl", clock=CLOCK)


def test_the_only_board_that_will_do_needs_no_pin(plugged: Plug) -> None:
    with BENCHES["grbl"].emulate().host as grbl, BENCHES["illuminate"].emulate().host as array:
        plugged(A1=array.port, G1=grbl.port)
        assert locate("auto", offering="stage", clock=CLOCK) == (grbl.port, "grbl")
        assert locate("auto", driver="illuminate", clock=CLOCK) == (array.port, "illuminate")
        with pytest.raises(Rejected, match="more than one board fits; value auto") as caught:
            locate("auto", offering="light", clock=CLOCK)
        assert array.port in str(caught.value)
        assert grbl.port in str(caught.value)


def test_a_port_and_a_driver_are_taken_at_their_word(silent_port: str) -> None:
    assert locate(silent_port, driver="grbl", clock=CLOCK) == (silent_port, "grbl")
    with pytest.raises(PortAbsent, match="native: no answer to HELLO"):
        locate(silent_port, clock=CLOCK)
    with pytest.raises(FirmwareIncompatible, match="unknown driver; value steam"):
        locate(silent_port, driver="steam", clock=CLOCK)


def test_two_boards_with_one_id_are_ambiguous(plugged: Plug) -> None:
    with BENCHES["grbl"].emulate().host as one, BENCHES["grbl"].emulate().host as two:
        plugged(A=one.port, B=two.port)
        with pytest.raises(Rejected, match="more than one") as caught:
            resolve("id:stage-7", clock=CLOCK)
        assert caught.value.code == "ambiguous"


def test_probing_what_is_pinned_shows_only_that(plugged: Plug) -> None:
    with BENCHES["grbl"].emulate().host as grbl, BENCHES["illuminate"].emulate().host as array:
        plugged(A1=array.port, G1=grbl.port)
        assert only(probe(["id:stage-7"], clock=CLOCK)).driver == "grbl"
        assert only(probe(["serial:A1"], clock=CLOCK)).driver == "illuminate"
        assert only(probe(["id:x"], clock=CLOCK)).rejected == ("no board found has this id",)
        assert only(probe(["serial:x"], clock=CLOCK)).rejected == ("no serial port fits",)


def test_a_name_that_stays_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = tmp_path / "ttyACM7"
    device.touch()
    by_id = tmp_path / "by-id"
    by_id.mkdir()
    (by_id / "usb-board").symlink_to(device)
    monkeypatch.setattr(inventory, "BY_ID", by_id)
    assert PortRecord(device=str(device)).stable_name == str(by_id / "usb-board")
    assert PortRecord(device="/dev/ttyACM8").stable_name == "/dev/ttyACM8"


@pytest.mark.parametrize(
    ("ids", "driver", "ranked"),
    [
        ((0x16C0, 0x0483), "illuminate", 0),
        ((0x2E8A, 0x000A), "sangaboard", 0),
        ((0x1A86, 0x7523), None, 1),
        ((0x1234, 0x5678), None, 2),
        ((None, None), None, 3),
    ],
)
def test_descriptors_only_order(
    ids: tuple[int | None, int | None], driver: str | None, ranked: int
) -> None:
    port = PortRecord(device="/dev/ttyX", vendor_id=ids[0], product_id=ids[1])
    asked = [row.name for row in likely_brands(port)]
    assert asked[0] == driver or driver is None
    assert sorted(asked) == sorted(names())
    assert rank(port) == ranked


@given(st.binary(max_size=300))
def test_noise_is_nobody(heard: bytes) -> None:
    identity = identify(heard)
    assert identity is None or identity.brand in BRANDS
