"""Which processor this is: what runs a network right and fast on one may do neither on another."""

from __future__ import annotations

import hashlib
import platform
from collections import defaultdict
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
# Of x86 and of Arm, whose kernel tells no name. A processor may have cores of several kinds.
NAMES = ("model name",)
PARTS = ("CPU implementer", "CPU architecture", "CPU variant", "CPU part")
FEATURES = ("flags", "Features")
UNKNOWN = "unknown"


def processor() -> str:
    """Return the processor's model in words: its name, or implementer and part."""
    told = _told()
    names = [name for key in NAMES for name in told[key]]
    if names:
        return ", ".join(names)
    parts = [f"{key.removeprefix('CPU ')} {' and '.join(told[key])}" for key in PARTS if told[key]]
    return f"{platform.machine()} {', '.join(parts)}" if parts else platform.processor() or UNKNOWN


def identity() -> str:
    """Return the model and a digest of the features that the system has of it.

    A virtual machine hides features of a processor, and one name of Arm's serves many boards.
    """
    told = _told()
    features = sorted({word for key in FEATURES for line in told[key] for word in line.split()})
    digest = hashlib.sha256(" ".join(features).encode()).hexdigest()[:16]
    return f"{platform.machine()} {processor()} {digest}"


def _told() -> dict[str, list[str]]:
    """Return the different values of every key of the system's table, in order."""
    told: defaultdict[str, list[str]] = defaultdict(list)
    try:
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return told
    for line in lines:
        key, _, value = (part.strip() for part in line.partition(":"))
        if value and value not in told[key]:
            told[key].append(value)
    return told
