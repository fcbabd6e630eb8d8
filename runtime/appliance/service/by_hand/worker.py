"""The process that has the instrument open: `python -m` this, with its end of the line.

It obeys one order at a time and waits for the next with a clock that feeds the boards. When the
line ends, or nothing is asked for long, it makes the instrument safe and goes: whoever started it,
and whatever became of them, no light is left on.
"""

from __future__ import annotations

import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from runtime.appliance.service.by_hand.at_hand import AtHand
from runtime.appliance.service.by_hand.order_line import Message, OrderLine
from runtime.appliance.service.refusal import told_as_json
from runtime.config.settings import Settings, load_settings
from runtime.errors import ConfigRefused, InputRefused, ModelRefused, NightscopeError, Stopped
from runtime.focus.sight import Lamp
from runtime.instrument.errors import LimitHit
from runtime.instrument.opening import open_microscope
from runtime.night.focus_here import named_objective

IDLE_S = 0.01
UNMOVED = (ConfigRefused, InputRefused, ModelRefused, LimitHit, Stopped)
"""What refuses one order and leaves the instrument as it is; all else ends it."""


def main(descriptor: int) -> None:
    """Obey until the line ends."""
    line = OrderLine(socket.socket(fileno=descriptor))
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        order, _ = line.hear()
        try:
            work(line, **{key: value for key, value in order.items() if key != "bytes"})
        except NightscopeError as error:
            line.tell({"refused": told_as_json(error)["error"], "over": True})


def work(line: OrderLine, *, settings: str, objective: str | None, quiet_s: float) -> None:
    """Open the instrument of a settings file and obey until nothing was asked for `quiet_s`; with
    0 it is opened, which makes it dark, and closed again. The last word is that it is safe.

    Raises NightscopeError where the instrument cannot be opened, or fails.
    """
    instrument = _of(Path(settings))
    named = named_objective(instrument, objective)  # what is refused is refused in the dark
    with open_microscope(instrument) as rig:
        if quiet_s:
            _obey_all(line, AtHand.begin(rig, instrument, objective=named), quiet_s=quiet_s)
    line.tell({"done": {}})


def _obey_all(line: OrderLine, hand: AtHand, *, quiet_s: float) -> None:
    line.tell({"done": hand.about()})
    clock = hand.rig.clock
    heard_s = clock.now_s()
    while clock.now_s() - heard_s < quiet_s:
        if not line.waits():
            clock.sleep(duration_s=IDLE_S)
            continue
        _obey(line, hand, line.hear()[0])
        heard_s = clock.now_s()


def _of(file: Path) -> Settings:
    instrument = load_settings(file)
    if instrument.recording is not None:
        raise ConfigRefused(
            "the instrument plays a recording, which nobody can move any more",
            remedy="look at its run instead",
        )
    return instrument


def _obey(line: OrderLine, hand: AtHand, order: Message) -> None:
    try:
        done, content = _done(line, hand, order["do"], order["with"])
    except UNMOVED as error:
        line.tell({"refused": told_as_json(error)["error"], "over": False})
    else:
        line.tell({"done": done}, content)


def _done(line: OrderLine, hand: AtHand, what: str, given: dict[str, Any]) -> tuple[Any, bytes]:
    if what == "look":
        return hand.look(**given)
    if what == "jog":
        return hand.jog(**given), b""
    range_um = given.pop("range_um")
    # Nothing is said while an answer is awaited, but that nobody awaits it any more.
    return hand.focus(lamp=Lamp(**given), range_um=range_um, should_stop=line.waits), b""


if __name__ == "__main__":
    main(int(sys.argv[1]))
