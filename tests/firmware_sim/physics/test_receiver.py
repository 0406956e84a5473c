import numpy as np
import pytest

from firmware_sim.physics.receiver import ATMOSPHERE_BAR, Receiver

RECEIVER = Receiver(5.0, 6.9, 7.4)


def test_pressure_stays_in_its_band_and_air_balances() -> None:
    delivered, drawn = np.full(3600, 7.6), np.full(3600, 4.6)
    pressure, load = RECEIVER.run(delivered, drawn, 7.1, True)
    assert pressure.min() > 6.85
    assert pressure.max() < 7.45
    # What came in less what went out is what the pressure gained.
    loads = np.concatenate(([1.0], load[:-1]))
    gained = np.sum(delivered * loads - drawn) / 60.0 * ATMOSPHERE_BAR / RECEIVER.volume_m3
    assert pressure[-1] - 7.1 == pytest.approx(gained)
    assert load.mean() == pytest.approx(4.6 / 7.6, abs=0.03)


def test_more_drawn_than_delivered_never_unloads() -> None:
    pressure, load = RECEIVER.run(np.full(600, 7.6), np.full(600, 8.5), 7.0, True)
    assert load.all()
    assert np.all(np.diff(pressure) < 0.0)
