"""What the columns of a plate map are called, here and by others."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from hcs.plate.units import canonical_unit

NAMES: dict[str, tuple[str, ...]] = {
    "well": (
        *("well", "wells", "wellposition", "wellname", "wellid", "welllabel", "welllocation", "wellcoordinate"),
        *("destinationwell", "destwell", "assaywell", "assaywellposition", "assayplatewell", "coordinate", "position"),
        *("vertiefung", "kavität", "kavitaet", "napf"),
    ),
    "row": ("row", "wellrow", "rowname", "rowletter", "platerow", "zeile", "reihe"),
    "column": ("column", "col", "wellcolumn", "wellcol", "columnname", "columnnumber", "platecolumn", "spalte"),
    "role": (
        *("role", "wellrole", "welltype", "sampletype", "controltype", "contenttype", "type", "rolle", "kontrolltyp"),
    ),
    "compound": (
        *("compound", "compoundname", "drug", "drugname", "treatment", "treatmentname", "substance", "pertiname"),
        *("compoundid", "cpd", "cpdname", "cpdid", "cmpd", "perturbation", "pertname", "broadsample", "pertid"),
        *("substanz", "wirkstoff", "verbindung"),
    ),
    "dose": (
        *("dose", "concentration", "conc", "dosevalue", "finalconcentration", "finalconc", "compoundconcentration"),
        *("compoundconc", "drugconcentration", "drugconc", "testconcentration", "pertdose"),
        *("dosis", "konzentration", "konz", "endkonzentration"),
    ),
    "unit": (
        *("unit", "units", "doseunit", "doseunits", "concentrationunit", "concentrationunits", "concunit", "concunits"),
        *("compoundconcentrationunits", "pertdoseunit", "einheit", "einheiten"),
    ),
}
"""Names of a plate map's columns by meaning, the usual one first, in lower case without blanks and signs."""

_PREFIXES = ("imagemetadata", "metadata")
_UNITED = {"mmolesperliter": "mM", "mmolperliter": "mM", "umolperliter": "µM", "nmolperliter": "nM", "mgperml": "mg/mL"}
"""Names that are a dose by their unit; moles before grams, where a map has both."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a column is: a key of NAMES, how good a name that is (0 the best), and the unit that the name gives."""

    what: str
    rank: int
    unit: str = ""


def meaning(name: str) -> Meaning | None:
    """What a column of this name is; None where the name is not known."""
    plain = _plain(name)
    for prefix in _PREFIXES:
        if plain.startswith(prefix) and len(plain) > len(prefix):
            plain = plain.removeprefix(prefix)
            break
    for what, names in NAMES.items():
        if plain in names:
            return Meaning(what, names.index(plain))
    return _dose_with_unit(name, plain)


def _dose_with_unit(name: str, plain: str) -> Meaning | None:
    """A dose whose unit is in the name: ``Dose (µM)``, ``conc_nM``, ``mmoles_per_liter``."""
    if plain in _UNITED:
        return Meaning("dose", len(NAMES["dose"]) + list(_UNITED).index(plain), _UNITED[plain])
    match = re.fullmatch(r"(.*?)[\s_\-.]*(?:[\[(]\s*([^\])]+?)\s*[\])]|(?:in[\s_]+)?([^\s_\-.(\[]+))", name.strip())
    if match is None:
        return None
    stem, unit = _plain(match[1]), canonical_unit(match[2] or match[3])
    for prefix in _PREFIXES:
        stem = stem.removeprefix(prefix) or stem
    if stem in NAMES["dose"] and unit.known:
        return Meaning("dose", NAMES["dose"].index(stem), unit.text)
    return None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9äöüß]", "", unicodedata.normalize("NFKC", name).casefold())


def places(header: Sequence[str]) -> dict[str, tuple[int, str]]:
    """Place of the column of each meaning in ``header``, and the unit that its name gives; of several names that mean
    one thing, the better (``compound`` before ``compound_id``), of equally good ones the first."""
    best: dict[str, tuple[int, int, str]] = {}
    for i, name in enumerate(header):
        found = meaning(name)
        if found is not None and (found.what not in best or found.rank < best[found.what][0]):
            best[found.what] = (found.rank, i, found.unit)
    return {what: (i, unit) for what, (_, i, unit) in best.items()}


def is_header(cells: Sequence[str]) -> bool:
    """Whether a row of cells names columns, wells among them."""
    what = places(cells)
    return "well" in what or {"row", "column"} <= what.keys()
