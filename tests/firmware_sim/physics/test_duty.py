import numpy as np

from firmware_sim.physics.duty import CAMPAIGN_S, PRODUCT_RATES, SHIFT_RATES, Duty

DAY = 1_767_571_200.0  # 2026-01-05 00:00 UTC


def test_a_campaign_has_one_rate_after_its_ramp() -> None:
    duty = Duty(3)
    time_s = DAY + np.arange(0, 86_400, 60.0)
    rate = duty.rate(time_s)
    lawful = {round(s * p, 9) for s in SHIFT_RATES for p in PRODUCT_RATES}
    settled = (time_s - DAY) % CAMPAIGN_S >= 300.0
    assert {round(r, 9) for r in rate[settled]} <= lawful
    assert np.abs(np.diff(rate)).max() < 0.2 / 5  # ramps, no steps


def test_the_night_is_slower_and_the_afternoon_warmer() -> None:
    duty = Duty(3)
    hours = np.arange(7 * 24)
    time_s = DAY + hours * 3600.0 + 1800.0
    rate, ambient = duty.rate(time_s), duty.ambient(time_s)
    night = (hours % 24 >= 22) | (hours % 24 < 6)
    assert rate[night].mean() < rate[~night].mean() - 0.05
    by_hour = ambient.reshape(7, 24).mean(axis=0)
    assert by_hour[14] - by_hour[2] > 5.0


def test_a_time_has_one_value_however_it_is_asked_for() -> None:
    duty = Duty(9)
    time_s = DAY + np.arange(0, 40_000, 37.0)
    alone = [duty.rate(time_s[k : k + 1])[0] for k in range(0, len(time_s), 100)]
    np.testing.assert_allclose(duty.rate(time_s)[::100], alone)
    alone = [duty.ambient(time_s[k : k + 1])[0] for k in range(0, len(time_s), 100)]
    np.testing.assert_allclose(duty.ambient(time_s)[::100], alone)
