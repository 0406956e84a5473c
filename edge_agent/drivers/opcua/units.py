"""Engineering units of OPC UA in the words of the contract, and what is measured in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

UNECE_NAMESPACE: Final = "http://www.opcfoundation.org/UA/units/un/cefact"

# Common codes of UNECE Recommendation 20 → unit of docs/contracts.md.
UNECE: Final[Mapping[str, str]] = {
    "C62": "1",
    "P1": "%",
    "59": "ppm",
    "MTR": "m",
    "CMT": "cm",
    "MMT": "mm",
    "4H": "um",
    "MTS": "m/s",
    "C16": "mm/s",
    "2M": "cm/s",
    "KMH": "km/h",
    "IU": "in/s",
    "MSK": "m/s2",
    "M41": "mm/s2",
    "K40": "gn",
    "DD": "deg",
    "C81": "rad",
    "2A": "rad/s",
    "RPM": "1/min",
    "M46": "1/min",
    "C94": "1/min",
    "RPS": "1/s",
    "C97": "1/s",
    "HTZ": "Hz",
    "KHZ": "kHz",
    "MHZ": "MHz",
    "SEC": "s",
    "C26": "ms",
    "B98": "us",
    "MIN": "min",
    "HUR": "h",
    "DAY": "d",
    "KGM": "kg",
    "GRM": "g",
    "TNE": "t",
    "KGS": "kg/s",
    "E93": "kg/h",
    "F31": "kg/min",
    "E18": "t/h",
    "LTR": "L",
    "MLT": "mL",
    "MTQ": "m3",
    "MQS": "m3/s",
    "MQH": "m3/h",
    "G53": "m3/min",
    "G51": "L/s",
    "L2": "L/min",
    "MTK": "m2",
    "CEL": "degC",
    "FAH": "degF",
    "KEL": "K",
    "PAL": "Pa",
    "A97": "hPa",
    "KPA": "kPa",
    "MPA": "MPa",
    "BAR": "bar",
    "MBR": "mbar",
    "PS": "psi",
    "NEW": "N",
    "B47": "kN",
    "NU": "N.m",
    "B48": "kN.m",
    "AMP": "A",
    "4K": "mA",
    "B22": "kA",
    "VLT": "V",
    "2Z": "mV",
    "KVT": "kV",
    "OHM": "Ohm",
    "B49": "kOhm",
    "B75": "MOhm",
    "WTT": "W",
    "KWT": "kW",
    "MAW": "MW",
    "D46": "VA",
    "KVA": "kVA",
    "D44": "var",
    "KVR": "kvar",
    "JOU": "J",
    "KJO": "kJ",
    "WHR": "Wh",
    "KWH": "kWh",
    "MWH": "MWh",
    "2N": "dB",
    "D33": "T",
    "LUX": "lx",
    "A24": "cd/m2",
    "C65": "Pa.s",
    "C24": "mPa.s",
    "4C": "cSt",
    "C17": "mm2/s",
    "KMQ": "kg/m3",
    "G42": "uS/cm",
    "H61": "mS/cm",
    "Q30": "pH",
}

_SPELLED: Final[Mapping[str, str]] = {
    "°c": "degC",
    "degc": "degC",
    "°f": "degF",
    "degf": "degF",
    "r/min": "1/min",
    "rpm": "1/min",
    "u/min": "1/min",
    "min⁻¹": "1/min",
    "min-1": "1/min",
    "s⁻¹": "1/s",
    "°": "deg",
    "percent": "%",
    "": "1",
}
_CHARACTERS: Final = str.maketrans(
    {"²": "2", "³": "3", "⁴": "4", "µ": "u", "μ": "u", "·": ".", "Ω": "Ohm", "\u2126": "Ohm"}
)

_QUANTITIES: Final[Mapping[str, frozenset[str]]] = {
    "acceleration": frozenset({"m/s2", "mm/s2", "gn"}),
    "velocity": frozenset({"mm/s", "cm/s", "m/s", "in/s"}),
    "temperature": frozenset({"degC", "degF", "K"}),
    "pressure": frozenset({"bar", "mbar", "Pa", "hPa", "kPa", "MPa", "psi"}),
    "flow": frozenset({"m3/h", "m3/s", "m3/min", "L/s", "L/min", "kg/s", "kg/h", "kg/min", "t/h"}),
    "current": frozenset({"A", "mA", "kA"}),
    "speed": frozenset({"1/min"}),
    "power": frozenset({"W", "kW", "MW"}),
}


def unit_id(code: str) -> int:
    """Return the UnitId of a UNECE common code: its ASCII characters as one big-endian number.

    Source: OPC 10000-8, 5.6.4.3.

    Raises:
        ValueError: it is no code of one to three ASCII characters.
    """
    if not (1 <= len(code) <= 3 and code.isascii()):
        raise ValueError(f"{code!r} is no common code")
    return int.from_bytes(code.encode("ascii"), "big")


def code_of(unit: str) -> str | None:
    """Return the UNECE common code of a unit of ours, or None when it has none."""
    return next((code for code, ours in UNECE.items() if ours == unit), None)


_BY_ID: Final = {unit_id(code): unit for code, unit in UNECE.items()}


def unit_of(namespace: str, number: int, display_name: str) -> str:
    """Return the unit of an EUInformation in our words; its display name when it is unknown."""
    if namespace == UNECE_NAMESPACE and number in _BY_ID:
        return _BY_ID[number]
    written = display_name.strip()
    spelled = _SPELLED.get(written.lower())
    if spelled is not None:
        return spelled
    return re.sub(r"\s+", " ", written.translate(_CHARACTERS))


def quantity_of(unit: str) -> str:
    """Return the quantity of the contract that is measured in a unit; `other` when unknown."""
    return next((name for name, units in _QUANTITIES.items() if unit in units), "other")
