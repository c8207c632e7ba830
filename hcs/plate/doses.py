"""Compounds and doses of a plate map: one spelling, one unit, one number for what is one."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hcs.errors import PlateError
from hcs.plate.keys import WellId
from hcs.plate.numerals import DecimalSign, NotANumber
from hcs.plate.units import Unit, canonical_unit

SAME_DOSE = 0.01
"""Doses of one compound that differ by less than this share are one."""
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Doses:
    """A dose and a unit for every well (NaN and empty where there is none), and what is to be said of them."""

    values: tuple[float, ...]
    units: tuple[str, ...]
    notes: tuple[str, ...] = ()


def named(texts: Sequence[str]) -> str:
    """The first of some names, and how many more there are."""
    shown = ", ".join(texts[:_MOST_NAMED])
    return shown if len(texts) <= _MOST_NAMED else f"{shown} and {len(texts) - _MOST_NAMED} more"


def spellings(texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """Compounds with one spelling for those that differ only in blanks or in how a sign is coded, and notes on that,
    and on compounds that differ only in case, which stay apart."""
    tidy = [re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text)).strip() for text in texts]
    usual: dict[str, str] = {}
    for key in dict.fromkeys(tidy):
        written = Counter(re.sub(r"\s+", " ", text).strip() for text, t in zip(texts, tidy, strict=True) if t == key)
        usual[key] = written.most_common(1)[0][0]
    notes = []
    joined = [
        (usual[key], {text for text, t in zip(texts, tidy, strict=True) if t == key and text.strip() != usual[key]})
        for key in usual
    ]
    several = [f"{name!r} (also {', '.join(repr(o) for o in sorted(others))})" for name, others in joined if others]
    if several:
        notes.append(f"spellings of one compound taken as one: {named(several)}")
    by_case: dict[str, list[str]] = {}
    for name in dict.fromkeys(usual.values()):
        by_case.setdefault(name.casefold(), []).append(name)
    alike = [" and ".join(repr(name) for name in names) for names in by_case.values() if len(names) > 1]
    if alike:
        notes.append(f"compounds that differ only in case are kept apart: {named(alike)}; write one if they are one")
    return [usual[key] for key in tidy], notes


def read_doses(
    texts: Sequence[str] | None,
    units: Sequence[str] | None,
    header_unit: str,
    wells: Sequence[WellId],
    source: str,
    *,
    semicolons: bool,
) -> Doses:
    """Doses as numbers and units as written, without blanks; ``header_unit`` is the one in the dose column's name.

    PlateError for a dose that is no number, may be two, or is negative, and for two units of one dose.
    """
    given = [unit.strip() for unit in units] if units is not None else [""] * len(wells)
    if texts is None:
        return Doses((float("nan"),) * len(wells), tuple(given))
    sign = DecimalSign.of(texts, semicolons=semicolons)
    values = []
    for text, well in zip(texts, wells, strict=True):
        try:
            value = sign.number(text)
        except NotANumber as error:
            raise PlateError(f"plate map {source}: well {well} has dose {error}") from error
        if value is not None and not 0 <= value < np.inf:
            raise PlateError(f"plate map {source}: well {well} has dose {text}; a dose is 0 or more")
        values.append(float("nan") if value is None else value)
    notes = []
    if sign.comma:
        notes.append("doses have decimal commas")
    grouped = [text for text in dict.fromkeys(texts) if sign.thousands(text)]
    if grouped:
        read = ", ".join(f"{text} as {sign.number(text):g}" for text in grouped[:3])
        notes.append(f"doses read with a sign between thousands, as the others tell: {read}")
    if header_unit:
        given = [_united(unit, header_unit, well, source) for unit, well in zip(given, wells, strict=True)]
        given = [unit if np.isfinite(v) else "" for unit, v in zip(given, values, strict=True)]
    return Doses(tuple(values), tuple(given), tuple(notes))


def _united(unit: str, header: str, well: WellId, source: str) -> str:
    if unit and canonical_unit(unit).text != header:
        raise PlateError(
            f"plate map {source}: well {well} has unit {unit!r}, but the name of the dose column says {header}: keep "
            "one"
        )
    return unit or header


def one_unit(doses: Doses, compounds: Sequence[str]) -> Doses:
    """The doses with one spelling a unit, and those of one compound in one unit as far as they can be converted: the
    one that most of its wells have."""
    units = [canonical_unit(text) for text in doses.units]
    shown, notes = _one_spelling(doses.units, units)
    values = list(doses.values)
    converted, apart = [], []
    for compound in filter(None, dict.fromkeys(compounds)):
        rows = [i for i, name in enumerate(compounds) if name == compound and np.isfinite(values[i]) and units[i].text]
        counts = Counter(units[i] for i in rows)
        for kind in dict.fromkeys(unit.kind for unit in counts):
            own = Counter({unit: n for unit, n in counts.items() if unit.kind == kind})
            if len({unit.text for unit in own}) < 2:
                continue
            target = max(own, key=lambda unit: own[unit])
            for i in rows:
                factor = units[i].factor_to(target)
                if factor is not None and factor != 1:
                    values[i] = float(f"{values[i] * float(factor):.12g}")
                    units[i], shown[i] = target, _shown_as(target, shown, units)
            converted.append(f"{compound} ({', '.join(u.text for u in own)}) in {target.text}")
        kinds = dict.fromkeys(shown[i] for i in rows)
        if len({units[i].kind for i in rows}) > 1:
            apart.append(f"{compound} ({', '.join(kinds)})")
    if converted:
        notes.append(f"doses of one compound brought to one unit: {named(converted)}")
    if apart:
        notes.append(f"compounds with doses in units that cannot be converted, each a curve of its own: {named(apart)}")
    return replace(doses, values=tuple(values), units=tuple(shown), notes=(*doses.notes, *notes))


def _one_spelling(texts: Sequence[str], units: Sequence[Unit]) -> tuple[list[str], list[str]]:
    """Units in one spelling: the map's own where it has one, else the usual one; and a note where it has several."""
    written: dict[str, list[str]] = {}
    for text, unit in zip(texts, units, strict=True):
        if text and text not in written.setdefault(unit.kind + unit.text.casefold(), []):
            written[unit.kind + unit.text.casefold()].append(text)
    spelling = {
        key: texts_of[0] if len(texts_of) == 1 else next(u.text for u in units if u.kind + u.text.casefold() == key)
        for key, texts_of in written.items()
    }
    notes = [
        f"units {', '.join(repr(text) for text in texts_of)} taken as {spelling[key]}"
        for key, texts_of in written.items()
        if len(texts_of) > 1
    ]
    return [spelling[u.kind + u.text.casefold()] if t else "" for t, u in zip(texts, units, strict=True)], notes


def _shown_as(target: Unit, shown: Sequence[str], units: Sequence[Unit]) -> str:
    return next(text for text, unit in zip(shown, units, strict=True) if unit == target and text)


def pooled(doses: Doses, compounds: Sequence[str]) -> Doses:
    """The doses with one number for those of one compound and unit that differ by less than SAME_DOSE: the commonest,
    of equally common ones the shortest."""
    values = list(doses.values)
    changed = []
    for key in dict.fromkeys(zip(compounds, doses.units, strict=True)):
        rows = [i for i, own in enumerate(zip(compounds, doses.units, strict=True)) if own == key and values[i] > 0]
        for members in _runs(sorted({values[i] for i in rows})):
            if len(members) < 2:
                continue
            counts = Counter(values[i] for i in rows if values[i] in members)
            chosen = min(counts, key=lambda v: (-counts[v], len(repr(v))))
            for i in rows:
                if values[i] in members:
                    values[i] = chosen
            changed.append(f"{key[0] or 'no compound'} {chosen:g} {key[1]}".strip() + f" ({len(members)} values)")
    note = f"doses that differ by less than {SAME_DOSE:.0%} taken as one: {named(changed)}"
    return replace(doses, values=tuple(values), notes=(*doses.notes, note)) if changed else doses


def _runs(ordered: Sequence[float]) -> list[list[float]]:
    """Rising numbers in groups that reach no further than SAME_DOSE from their smallest."""
    runs: list[list[float]] = []
    for value in ordered:
        if runs and value <= runs[-1][0] * (1 + SAME_DOSE):
            runs[-1].append(value)
        else:
            runs.append([value])
    return runs
