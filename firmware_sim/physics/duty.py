"""What the plant asks of its machines: shifts, products and the weather."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from firmware_sim.physics.chance import Chance

F64 = npt.NDArray[np.float64]

CAMPAIGN_S = 7200
RAMP_S = 300.0
# Line rate over its rated one: by shift (06-14, 14-22, 22-06 UTC) and by the product that runs.
SHIFT_RATES = (1.0, 0.98, 0.90)
PRODUCT_RATES = (1.0, 0.97, 0.94)
AMBIENT_MEAN_DEGC = 20.0
AMBIENT_SWING_DEGC = 4.0
WARMEST_HOUR = 15.0
_PRODUCTS, _WEATHER = 1, 2


class Duty:
    """Line rate and ambient temperature of the plant over time; the same for all its machines.

    A product runs for a campaign of two hours; the line then ramps to the next rate in five
    minutes. The ambient temperature is a sine of the day (warmest at 15:00 UTC) plus weather that
    wanders from six hours to six hours.
    """

    def __init__(self, seed: int) -> None:
        self._chance = Chance(seed, "plant duty")

    def campaign_rate(self, campaign: int) -> float:
        """Return the line rate of the two hours that begin at `campaign` times 7200 s, UTC."""
        hour = campaign * CAMPAIGN_S // 3600 % 24
        shift = 0 if 6 <= hour < 14 else 1 if 14 <= hour < 22 else 2
        product = int(self._chance.at(_PRODUCTS, campaign).integers(len(PRODUCT_RATES)))
        return SHIFT_RATES[shift] * PRODUCT_RATES[product]

    def rate(self, time_s: F64) -> F64:
        """Return the line rate over its rated one at ascending `time_s`, in epoch seconds."""
        first, last = int(time_s[0] // CAMPAIGN_S), int(time_s[-1] // CAMPAIGN_S)
        knots: list[float] = []
        rates: list[float] = []
        for campaign in range(first, last + 1):
            begin = campaign * CAMPAIGN_S
            knots += [begin, begin + RAMP_S, begin + CAMPAIGN_S]
            rate = self.campaign_rate(campaign)
            rates += [self.campaign_rate(campaign - 1), rate, rate]
        # The end of a campaign and the start of the next are one knot with one value.
        return np.interp(time_s, knots, rates)

    def ambient(self, time_s: F64) -> F64:
        """Return the temperature of the hall in degC at ascending `time_s`."""
        period = 6 * 3600
        first, last = int(time_s[0] // period), int(time_s[-1] // period) + 1
        knots = np.arange(first, last + 1)
        weather = [float(self._chance.at(_WEATHER, int(k)).standard_normal()) for k in knots]
        day = 2 * np.pi * (time_s / 3600 - WARMEST_HOUR) / 24
        swing: F64 = AMBIENT_SWING_DEGC * np.cos(day)
        return AMBIENT_MEAN_DEGC + swing + np.interp(time_s, knots * float(period), weather)
