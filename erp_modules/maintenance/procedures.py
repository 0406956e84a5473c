"""What to look at first for each failure mode, as data.

The steps are short summaries in our own words; `source` names where the matter is treated at
length.
"""

from __future__ import annotations

from dataclasses import dataclass

from erp_modules.maintenance.failure_modes import FailureMode

_ISOLATE = "Isolate the machine, lock and tag it out, and prove that it is dead (ISO 14118)."


@dataclass(frozen=True, slots=True)
class Procedure:
    """Steps in their order, and where they come from."""

    steps: tuple[str, ...]
    source: str


PROCEDURES: dict[FailureMode, Procedure] = {
    FailureMode.UNDETERMINED: Procedure(
        (
            "Look at the evidence of the alarm: which channel left its baseline, and since when.",
            "Compare with load, speed and ambient conditions of the same hours.",
            "Inspect the machine by eye, ear and hand, and note what was found.",
            "Measure vibration and temperature at every bearing before dismantling anything.",
        ),
        "ISO 17359 (condition monitoring, general guidelines)",
    ),
    FailureMode.UNBALANCE: Procedure(
        (
            "Check that vibration at once per turn dominates in the radial directions.",
            _ISOLATE,
            "Clean the rotor; look for build-up, lost weights and broken vanes or blades.",
            "Balance in place to the grade of its class and record the residual unbalance.",
        ),
        "ISO 21940-11 (balance tolerances), ISO 13373-3 (vibration diagnosis)",
    ),
    FailureMode.MISALIGNMENT: Procedure(
        (
            "Check for vibration at twice per turn and for axial vibration at the coupling.",
            _ISOLATE,
            "Check soft foot, pipe strain and the wear of the coupling element.",
            "Align the shafts at running temperature; record offset and angle before and after.",
        ),
        "ANSI/ASA S2.75 (shaft alignment), ISO 13373-3",
    ),
    FailureMode.LOOSENESS: Procedure(
        (
            "Look for many harmonics of the running speed and for half orders.",
            _ISOLATE,
            "Check foundation bolts, feet, grout and bearing housings; tighten to torque.",
            "Check the fit of bearing and shaft, and measure again at the same load.",
        ),
        "ISO 13373-3 (vibration diagnosis)",
    ),
    FailureMode.BEARING_OUTER_RACE: Procedure(
        (
            "Confirm the outer race frequency and its harmonics in the envelope spectrum.",
            "Check lubricant: amount, age, water and metal.",
            _ISOLATE,
            "Replace the bearing and its seals; keep the old one, note the place of the damage.",
            "Check alignment, fits and lubrication before the restart, and take a new baseline.",
        ),
        "ISO 15243 (bearing damage, terms and causes), ISO 13373-3",
    ),
    FailureMode.BEARING_INNER_RACE: Procedure(
        (
            "Confirm the inner race frequency, with side bands at the running speed.",
            "Check lubricant: amount, age, water and metal.",
            _ISOLATE,
            "Replace the bearing and its seals; check shaft seat and interference for creep.",
            "Check alignment, fits and lubrication before the restart, and take a new baseline.",
        ),
        "ISO 15243 (bearing damage, terms and causes), ISO 13373-3",
    ),
    FailureMode.CAVITATION: Procedure(
        (
            "Compare suction pressure with the pump's required NPSH at the present flow.",
            "Check suction strainer, valves, level and temperature of the liquid.",
            "Bring the pump back towards its best efficiency point.",
            "When noise or head loss stays: isolate, open, and inspect impeller and wear rings.",
        ),
        "ANSI/HI 9.6.1 (NPSH margin)",
    ),
    FailureMode.BLOCKED_FILTER: Procedure(
        (
            "Compare the differential pressure with the filter's final value.",
            _ISOLATE,
            "Replace or clean the element; look for what blocked it, and where it comes from.",
            "Record the clean differential pressure as the new baseline.",
        ),
        "The filter maker's final differential pressure; ISO 16890 for air filters",
    ),
    FailureMode.OVERHEATING: Procedure(
        (
            "Compare current and load with the name plate; look for a phase out of balance.",
            "Check cooling: fan, fins, filters, ambient temperature, oil level and cooler.",
            "Take a thermal image of windings, terminals and bearings.",
            "Reduce the load until the temperature is back under the limit of its thermal class.",
        ),
        "IEC 60034-1 (temperature rise of rotating machines)",
    ),
    FailureMode.AIR_LEAK: Procedure(
        (
            "Measure the loaded share of the compressor's cycle with production standing still.",
            "Search the net section by section with an ultrasonic detector and tag each leak.",
            "Depressurise the section, replace hose, coupling or seal, and test with soap.",
            "Measure the loaded share again and record the saving.",
        ),
        "ISO 11011 (compressed air, assessment of energy efficiency)",
    ),
    FailureMode.SENSOR_STUCK: Procedure(
        (
            "Instrumentation: compare with a second one; the machine is unwatched meanwhile.",
            "Check supply, wiring and converter; cycle the power of the instrument.",
            "Replace the sensor when it stays at one value, and check its range.",
        ),
        "NAMUR NE 107 (self-diagnosis of field devices)",
    ),
    FailureMode.SENSOR_DRIFT: Procedure(
        (
            "Instrumentation: compare with a calibrated reference at two points.",
            "Check mounting, cable and shielding for moisture and heat.",
            "Calibrate or replace, and record the deviation found.",
        ),
        "NAMUR NE 107 (self-diagnosis of field devices)",
    ),
    FailureMode.SENSOR_DROPOUT: Procedure(
        (
            "Instrumentation: check plug, cable and supply, first where the cable moves.",
            "Check the input card and the gateway's log for the times of the gaps.",
            "Replace cable or sensor, and watch for an hour at running speed.",
        ),
        "NAMUR NE 107 (self-diagnosis of field devices)",
    ),
    FailureMode.SENSOR_SPIKE: Procedure(
        (
            "Instrumentation: check shielding and earthing at one end only.",
            "Look for a drive or contactor that switches at the times of the spikes.",
            "Re-route or replace the cable, then the sensor.",
        ),
        "NAMUR NE 107 (self-diagnosis of field devices)",
    ),
    FailureMode.GEAR_WEAR: Procedure(
        (
            "Check for the mesh frequency with side bands at the speed of the worn wheel.",
            "Take an oil sample: particles, viscosity and water.",
            _ISOLATE,
            "Inspect the tooth flanks through the cover, and photograph the contact pattern.",
            "Change oil and filter; plan the replacement of the pair when flanks are pitted.",
        ),
        "ISO 10825-1 (wear and damage to gear teeth, terms), ISO 13373-3",
    ),
}


def suggested_steps(mode: FailureMode) -> tuple[str, ...]:
    """Return the steps for `mode`, in their order."""
    return PROCEDURES[mode].steps
