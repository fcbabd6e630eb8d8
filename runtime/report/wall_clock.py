"""Whether the controller's clock can be right, and when it ran backwards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import pairwise

from runtime.errors import ConfigRefused
from runtime.instant import Instant
from runtime.report.wording import date, duration

EARLIEST = datetime(2025, 1, 1, tzinfo=UTC).timestamp()
"""Nothing of this release is older. A clock without a battery begins in 1970, 2000 or 2010."""
LATEST = datetime(2100, 1, 1, tzinfo=UTC).timestamp()
SLACK_S = 60.0
"""Clocks that are kept by a network step by less."""


def look_at_the_clock(now: Instant, *, known: Iterable[Instant] = ()) -> list[str]:
    """Return in words what is odd about this machine's clock, `known` moments being of before.

    Raises ConfigRefused for a year that cannot be: records dated so would be refused for ever.
    """
    if not EARLIEST <= now.wall_s < LATEST:
        year = datetime.fromtimestamp(min(max(now.wall_s, 0.0), 2 * LATEST), tz=UTC).year
        raise ConfigRefused(
            "the controller's clock is wrong",
            value=f"year {year}",
            limit="2025 to 2099",
            remedy="set it, with `timedatectl set-ntp true` or `timedatectl set-time`",
        )
    return list(clock_steps([*known, now]))


def clock_steps(moments: Iterable[Instant]) -> Iterator[str]:
    """Yield in words every jump of the clock between moments of one machine, in their order.

    Within a boot the monotonic clock tells the step. From one boot to another only a step back
    shows, as a time that is earlier than what came before.
    """
    for before, after in pairwise(moments):
        since_s = after.since_s(before)
        ahead_s = after.wall_s - before.wall_s - (since_s or 0.0)
        when = f"from {date(before.wall_s)}"
        if since_s is None:
            if ahead_s < -SLACK_S:
                yield f"the clock ran backwards over a restart, {when} to {date(after.wall_s)}"
        elif abs(ahead_s) > SLACK_S:
            how = "back" if ahead_s < 0 else "forward"
            yield f"the clock was set {how} by {duration(abs(ahead_s))} after {date(before.wall_s)}"
