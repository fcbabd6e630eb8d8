"""`nightscope bridge ...`: the verbs for the serial line to stage and light."""

from __future__ import annotations

from typing import Annotated

import typer

from runtime.cli.call import call, load
from runtime.cli.options import AsJson, Driver, Port

bridge = typer.Typer(no_args_is_help=True, help="The serial line to stage and light.")


@bridge.command("exercise")
def bridge_exercise(
    port: Port,
    driver: Driver = "auto",
    moves: Annotated[int, typer.Option(metavar="N", min=1, help="How many moves.")] = 100,
    seed: Annotated[int, typer.Option(metavar="S", help="Seed of the moves.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Make random moves, read every position back, and end at the start.

    A board with a light and no stage changes its light as often, and ends dark. Exit codes: 0 all
    is well; 5 a frame was sent again, or the board does not go dark by itself; 4 a move did not end
    where it was sent, or nothing answers.

    `nightscope bridge exercise --port /dev/ttyACM0`

    `nightscope bridge exercise --port /dev/ttyACM0 --driver native --moves 1000 --json`
    """
    call(
        "runtime.cli.commands.bridge:exercise",
        as_json,
        run=load("firmware_bridge.tools.exercise:exercise"),
        port=port,
        driver=driver,
        moves=moves,
        seed=seed,
    )


@bridge.command("probe")
def bridge_probe(
    ports: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PORT]...", help="Ports, or pins of boards; all if none."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List what is on the serial ports, and why others were rejected.

    `nightscope bridge probe`

    `nightscope bridge probe /dev/ttyACM0 --json`
    """
    look = load("firmware_bridge.find.detect:probe")
    call("runtime.cli.commands.bridge:probe", as_json, look=look, ports=ports or [])


@bridge.command("monitor")
def bridge_monitor(port: Port, as_json: AsJson = False) -> None:
    """Show the traffic of a line in words, for a technician.

    `nightscope bridge monitor --port /dev/ttyACM0`

    `nightscope bridge monitor --port /dev/serial/by-id/usb-nightscope`
    """
    watch = load("firmware_bridge.tools.monitor:watch")
    call("runtime.cli.commands.bridge:monitor", as_json, watch=watch, port=port)


@bridge.command("chaos")
def bridge_chaos(
    port: Port,
    rate: Annotated[
        float, typer.Option(metavar="P", min=0, max=1, help="Share of bytes hit by each fault.")
    ] = 0.002,
    gap: Annotated[
        float,
        typer.Option(
            "--gaps", metavar="P", min=0, max=1, help="Share of bytes that pause 50 to 500 ms."
        ),
    ] = 0.0,
    seed: Annotated[int, typer.Option(metavar="S", help="Seed of the faults.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Put a bad line in front of a board: bytes dropped, duplicated and flipped, or held up.

    `nightscope bridge chaos --port /dev/ttyACM0`

    `nightscope bridge chaos --port /dev/ttyACM0 --rate 0.01 --gaps 0.01 --seed 3`
    """
    call(
        "runtime.cli.commands.bridge:chaos",
        as_json,
        proxy=load("firmware_bridge.line.chaos:ChaosProxy"),
        faults=load("firmware_bridge.line.faults:Faults").bytewise,
        port=port,
        rate=rate,
        gap=gap,
        seed=seed,
    )


@bridge.command("emulate")
def bridge_emulate(
    brand: Annotated[
        str, typer.Argument(metavar="BRAND", help="native, sangaboard, grbl or illuminate.")
    ],
    as_json: AsJson = False,
) -> None:
    """Be a board that is not there, on a port of its own, to try the other verbs without one.

    `nightscope bridge emulate grbl`

    `nightscope bridge emulate native`
    """
    board = load("firmware_bridge.tools.emulate:emulated")
    call("runtime.cli.commands.bridge:emulate", as_json, board=board, brand=brand)
