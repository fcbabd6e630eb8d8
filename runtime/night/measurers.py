"""What is asked for focus before a sweep, the cheapest first."""

from __future__ import annotations

from runtime.calibrated.record import CalibrationRecord
from runtime.config.settings import Settings
from runtime.focus.network import DefocusNetworkPort, NetworkShot
from runtime.focus.single_shot import LedPair, SingleShot


def measurers(
    settings: Settings,
    pair: CalibrationRecord | None,
    *,
    objective: str,
    network: DefocusNetworkPort | None = None,
) -> list[SingleShot]:
    """Return the network, which takes one exposure, if there is one, and then the pair of LEDs,
    which takes two; none without a record of the pair.

    Raises ModelRefused for a network that is not for this objective and these LEDs.
    """
    if pair is None:
        return []
    channels, optics = settings.calibration.led_pair, settings.objectives[objective]
    asked: list[SingleShot] = [LedPair.of(pair, channels=channels, optics=optics)]
    if network is not None:
        asked.insert(0, NetworkShot.of(network, pair, channels=channels, optics=optics))
    return asked
