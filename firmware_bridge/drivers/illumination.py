"""What every light checks before it sends anything."""

from __future__ import annotations

from firmware_bridge.errors import Rejected


def check_illumination(channel: str, brightness: float, channels: tuple[str, ...]) -> None:
    """Raise Rejected: "bad-index" for an unknown channel, "bad-payload" for a bad brightness."""
    if channel not in channels:
        raise Rejected(
            "unknown light channel",
            code="bad-index",
            value=repr(channel),
            limit=", ".join(channels) or "none",
            remedy="use a name the board reports",
        )
    if not 0 <= brightness <= 1:
        raise Rejected(
            "brightness out of range",
            code="bad-payload",
            value=brightness,
            limit="0 to 1",
            remedy="give a fraction of full brightness",
        )
