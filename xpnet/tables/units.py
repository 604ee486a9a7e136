"""Units behind numbers: their spellings, and the factors between those that a column may mix."""

import re
import unicodedata
from collections.abc import Collection

POWERS = {"K": 1e3, "k": 1e3, "M": 1e6, "B": 1e9}
UNITS = tuple(
    {unit: float(of) for *units, of in map(str.split, each.split(";")) for unit in units}
    for each in (
        "kg 1; g 1e-3; mg 1e-6; t 1e3; lb pounds 0.45359237; oz 0.028349523",
        "m 1; mm 1e-3; cm 1e-2; km 1e3; mi miles 1609.344; ft 0.3048; in 0.0254; yd 0.9144",
        "h hr hour 1; d day 24; m min minutes 0.016666666666666666"
        "; s sec seconds 2.777777777777778e-4; ms 2.777777777777778e-7",
        "years yr y 1; months mo 0.08333333333333333; days d 0.0027379; weeks wk w 0.019165",
        "m\u00b2 sqm 1; ha 1e4; sqft ft\u00b2 0.09290304; \u576a 3.305785; acres ac 4046.8564",
        "mg/L 1; ng/L 1e-6; \u00b5g/L ug/L 1e-3; g/L 1e3; mg/dL 10; g/dL 1e4",
        "l 1; ml 1e-3; cl 1e-2; dl 0.1",
        "kW 1; W 1e-3; MW 1e3",
        "kWh 1; Wh 1e-3; MWh 1e3; kJ 2.777777777777778e-4; MJ 0.2777777777777778; kcal 1.163e-3",
        "hPa mbar 1; Pa 1e-2; kPa 10; bar 1e3",
        "km/h kmh 1; m/s 3.6; mph 1.609344; kn knots 1.852",
        "B 1; kB 1e3; MB 1e6; GB 1e9; TB 1e12",
        "\u5186 1; \u5343\u5186 1e3; \u4e07\u5186 1e4; \u5104\u5186 1e8",
        "\u5143 1; \u4e07\u5143 1e4; \u4ebf\u5143 1e8",
    )
)
"""Units that a column may mix: its numbers are converted to the one whose factor is 1."""

# Letters that mean different things in capitals: milli and mega, bits and bytes.
_CASES = re.compile(r"^[mMpP](?=.{0,3}$)|[bB](?![a-zA-Z])")
_SUMS = {" as hours": "h", " as inches": "in"}  # the units of sums of parts


def factors_of(units: set[str]) -> dict[str, float]:
    """Return the table in `UNITS` that has all these units, as they are spelt; empty if none.

    A unit may be in thousands, such as k miles.
    """
    of_one = {unit: unit[2:] if unit[:2] in ("k ", "K ") else unit for unit in units}
    for table in UNITS:
        found = {
            unit: of if unit == one else 1e3 * of
            for unit, one in of_one.items() for each, of in table.items() if is_same(one, each)
        }  # fmt: skip
        if found.keys() == units:
            return table | found
    return {}


def is_same(unit: str, other: str) -> bool:
    """Return whether two units differ in spelling only: day and days, g/dl and g/dL, not Mb, MB."""
    plain = (unicodedata.normalize("NFKC", each) for each in (unit, other))  # m2 for a raised 2
    a, b = (re.sub("(?<=..)s$", "", each) for each in plain)
    return a.casefold() == b.casefold() and _CASES.findall(a) == _CASES.findall(b)


def unit_of(signs: Collection[str]) -> str:
    """Return the unit of a column's numbers, as the signs beside them tell, or ""."""
    units = [each[3:] for each in signs if each.startswith("in ")]
    units += [unit for each in signs for end, unit in _SUMS.items() if each.endswith(end)]
    return units[0] if units else ""


def factor_to(unit: str, wanted: str, expected: Collection[str]) -> float | None:
    """Return the factor from a unit, or from k for thousand, to another one; None if unknown."""
    if f"{unit} = {POWERS.get(unit, 0.0):,.0f}" in expected:
        return POWERS[unit]
    known = {unit: 1.0, wanted: 1.0} if is_same(unit, wanted) else factors_of({unit, wanted})
    return known[unit] / known[wanted] if known else None
