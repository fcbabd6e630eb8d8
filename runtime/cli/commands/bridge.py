"""`nightscope bridge ...`: a technician at the serial line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from runtime.cli.screen import show
from runtime.cli.table import table
from runtime.clock import SystemClock
from runtime.errors import HardwareFailed
from runtime.instrument.opening import bridge_trouble_is_hardware, port_of
from runtime.report.ending import Ending
from runtime.report.wording import counted, milliseconds

LOOK_EVERY_S = 0.2
HARDWARE = HardwareFailed.exit_code


def exercise(
    *, run: Callable[..., Any], port: str, driver: str, moves: int, seed: int, console: Console
) -> dict[str, Any]:
    """Put a board through random moves or lights; return what was found."""
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    hidden = not console.is_terminal
    progress = Progress(*columns, console=console, transient=True, disable=hidden)
    with bridge_trouble_is_hardware(), progress as bar:
        task = bar.add_task("moves", total=moves)
        found = run(
            port,
            driver=driver,
            moves=moves,
            seed=seed,
            clock=SystemClock(),
            progress=lambda done: bar.update(task, completed=done),
        )
    right = found["errors"] == 0 and found["final_error_steps"] == 0
    ending = _ending(found, driver=driver, port=port)
    show(ending, console)
    return dict(found) | {"exit_code": ending.exit_code if right else HARDWARE}


def _ending(found: Mapping[str, Any], *, driver: str, port: str) -> Ending:
    """Return what an exercise came to. What was sent again is no error, but tells of the line."""
    moves, what = found["moves"], "move" if found["stage"] else "light change"
    stage, wrong, off = found["stage"], found["errors"], found["final_error_steps"]
    p50_ms, p99_ms = (milliseconds(found["latency_ms"][name]) for name in ("p50", "p99"))
    attention = [
        f"{counted(wrong, 'move')} did not end where it was sent: look for a stall or a slipping"
        " drive" if wrong else "",
        f"it stands {counted(off, 'step')} off its beginning" if off else "",
        f"{counted(found['retries'], 'frame')} sent again: look at cable, plug and supply"
        if found["retries"] else "",
        "" if found["failsafe"]
        else "the board does not go dark by itself when it is left alone: never leave it lit",
    ]  # fmt: skip
    return Ending(
        done=(
            f"{counted(moves, what)} on {port}, "
            + (f"{moves - wrong} read back where they were to end" if stage else "all confirmed"),
            f"half of the answers took up to {p50_ms}, all but one of a hundred up to {p99_ms}",
        ),
        assumed=(
            f"the board is the one that answers as {found['driver']}" if driver == "auto"
            else f"the board is a {driver}, as given",
        ),
        left_out=("the light: only the stage was tried",) if stage else (),
        attention=tuple(sentence for sentence in attention if sentence),
    )  # fmt: skip


def probe(
    *, look: Callable[..., Sequence[Any]], ports: list[str], console: Console
) -> dict[str, Any]:
    """Say what is on every serial port, and why it was not taken for something else."""
    findings = look(ports or None, clock=SystemClock())
    shown = table("port", "driver", "firmware", "id", "failsafe", "why not")
    for found in findings:
        shown.add_row(
            found.port.device,
            found.driver or "–",
            found.firmware,
            found.unique_id or "",
            {True: "yes", False: "no", None: ""}[found.failsafe],
            "; ".join(found.rejected),
        )
    console.print(shown if findings else "no serial ports")
    return {
        "boards": [
            {
                "port": found.port.device,
                "driver": found.driver,
                "firmware": found.firmware,
                "unique_id": found.unique_id,
                "failsafe": found.failsafe,
                "rejected": list(found.rejected),
            }
            for found in findings
        ]
    }


def monitor(*, watch: Callable[..., Any], port: str, console: Console) -> dict[str, Any]:
    """Show the line's traffic in words until Ctrl-C; the host opens the printed port instead."""
    clock = SystemClock()
    # Boards say things in brackets, which are no markup.
    write = partial(console.print, highlight=False)
    with bridge_trouble_is_hardware(), watch(port_of(port), clock=clock, write=write) as proxy:
        return _until_ctrl_c(proxy, clock, console)


def chaos(
    *,
    proxy: Callable[..., Any],
    faults: Callable[..., Any],
    port: str,
    rate: float,
    gap: float,
    seed: int,
    console: Console,
) -> dict[str, Any]:
    """Put a bad line in front of a board until Ctrl-C; the host opens the printed port instead."""
    clock = SystemClock()
    bad = faults(rate, gap=gap)
    with (
        bridge_trouble_is_hardware(),
        proxy(port_of(port), clock=clock, faults=bad, seed=seed) as line,
    ):
        return _until_ctrl_c(line, clock, console)


def emulate(*, board: Callable[..., Any], brand: str, console: Console) -> dict[str, Any]:
    """Be a board of a brand until Ctrl-C; the host opens the printed port."""
    clock = SystemClock()
    with bridge_trouble_is_hardware(), board(brand, clock=clock) as host:
        console.print(f"open {host.port}: an emulated {brand} board; nothing moves. Ctrl-C ends")
        _wait_for_ctrl_c(clock)
        return {"port": host.port, "brand": brand}


def _until_ctrl_c(proxy: Any, clock: SystemClock, console: Console) -> dict[str, Any]:
    console.print(f"open {proxy.port} in place of the board's own port; Ctrl-C ends")
    _wait_for_ctrl_c(clock)
    return {"port": proxy.port, "bytes_damaged": proxy.damaged}


def _wait_for_ctrl_c(clock: SystemClock) -> None:
    with suppress(KeyboardInterrupt):
        while True:
            clock.sleep(duration_s=LOOK_EVERY_S)
