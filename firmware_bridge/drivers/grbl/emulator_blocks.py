"""What a line asks of GRBL's machine: jogs and moves as blocks, or GRBL's refusal."""

from __future__ import annotations

from firmware_bridge.drivers.grbl.emulator_machine import MM_PER_INCH, Block
from firmware_bridge.drivers.grbl.emulator_parser import (
    BAD_JOG,
    NO_AXIS_WORDS,
    NO_FEED,
    SAME_GROUP,
    UNKNOWN_SYSTEM,
    UNUSED_WORDS,
    GrblError,
    Modes,
    single,
    words,
)


def jog(line: str, modes: Modes, *, end_mm: list[float]) -> Block:
    """Return the block of a `$J=` line; `end_mm` is where the last block ends.

    Raises GrblError.
    """
    if not line.startswith("$J="):
        raise GrblError(BAD_JOG if line[2:] else UNKNOWN_SYSTEM)
    found = words(line[3:])
    codes = [value for letter, value in found if letter == "G"]
    if any(code not in (20, 21, 53, 90, 91) for code in codes) or any(
        letter in "MST" for letter, _ in found
    ):
        raise GrblError(BAD_JOG)
    if {90, 91} <= set(codes) or {20, 21} <= set(codes) or len(set(codes)) < len(codes):
        raise GrblError(SAME_GROUP)
    values = single(found)
    if values.get("F", 0.0) <= 0:
        raise GrblError(NO_FEED)
    told = Modes(
        relative=91 in codes or (modes.relative and 90 not in codes),
        inches=20 in codes or (modes.inches and 21 not in codes),
        offset_mm=modes.offset_mm,
    )
    return _block(values, told, machine=53 in codes, end_mm=end_mm, is_jog=True)


def move(
    values: dict[str, float],
    modes: Modes,
    *,
    machine: bool,
    end_mm: list[float],
    rapid_mm_min: float,
) -> Block:
    """Return the block of a G-code line whose codes `modes` has taken over. Raises GrblError.

    `machine` tells whether its target is a machine position.
    """
    feed_mm_min = rapid_mm_min if modes.motion_code == 0 else modes.feed_mm_min
    if feed_mm_min <= 0:
        raise GrblError(NO_FEED)
    fed = {**values, "F": feed_mm_min}
    return _block(fed, modes, machine=machine, end_mm=end_mm, is_jog=False)


def _block(
    values: dict[str, float], modes: Modes, *, machine: bool, end_mm: list[float], is_jog: bool
) -> Block:
    if not set(values) & set("XYZ"):
        raise GrblError(NO_AXIS_WORDS)
    if set(values) - set("XYZFSN"):
        raise GrblError(UNUSED_WORDS)
    unit = MM_PER_INCH if modes.inches else 1.0
    target = list(end_mm)
    for index, letter in enumerate("XYZ"):
        if letter in values:
            offset = 0.0 if machine else modes.offset_mm[index]
            base = target[index] if modes.relative and not machine else offset
            target[index] = base + values[letter] * unit
    return Block(
        target=(target[0], target[1], target[2]), feed_mm_min=values["F"] * unit, jog=is_jog
    )
