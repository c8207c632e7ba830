"""Numbers as people and spreadsheets write them: which comma or dot is the decimal sign."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_MISSING = frozenset({"", "na", "n/a", "#n/a", "nan", "none", "null", "-", "--", "n.a.", "nd", "n.d."})
_EXPONENT = r"(?:[eE][+-]?\d+)?"
_PLAIN = re.compile(rf"[+-]?(?:\d+|\d*\.\d+|\d+\.){_EXPONENT}")
_COMMA = re.compile(rf"[+-]?\d*,\d+{_EXPONENT}")
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:(?P<sign>[ '\u00a0\u202f\u2019])\d{3})(?:(?P=sign)\d{3})*(?:[.,]\d+)?")
_COMMAS_THEN_DOT = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+\.\d+|[+-]?\d{1,3}(?:,\d{3}){2,}")
_DOTS_THEN_COMMA = re.compile(r"[+-]?\d{1,3}(?:\.\d{3})+,\d+|[+-]?\d{1,3}(?:\.\d{3}){2,}")
_EITHER = re.compile(r"[+-]?[1-9]\d{0,2}[,.]\d{3}")


class NotANumber(ValueError):
    """A text is no number, or more than one; the message says which."""


@dataclass(frozen=True, slots=True)
class DecimalSign:
    """What a column of numbers tells of its decimal sign: whether some are only right with a comma, some only with a
    dot."""

    comma: bool
    dot: bool
    semicolons: bool = False
    """Whether semicolons separate the cells, as they do where the comma is the decimal sign."""

    @classmethod
    def of(cls, texts: Sequence[str], *, semicolons: bool = False) -> DecimalSign:
        """By the numbers that can be read in one way only: ``0,5`` has a decimal comma, ``1,000`` tells nothing."""
        plain = [_tidy(text) for text in texts]
        clear = [text for text in plain if not _EITHER.fullmatch(text)]
        comma = any(_COMMA.fullmatch(text) or _DOTS_THEN_COMMA.fullmatch(text) for text in clear)
        dot = any("." in text and _PLAIN.fullmatch(text) for text in clear)
        return cls(comma, dot or any(_COMMAS_THEN_DOT.fullmatch(text) for text in clear), semicolons)

    def thousands(self, text: str) -> bool:
        """Whether ``number`` takes a comma or dot of the text for one between thousands, by the column's others."""
        plain = _tidy(text)
        return _EITHER.fullmatch(plain) is not None and (self.dot if "," in plain else self.comma)

    def number(self, text: str) -> float | None:
        """The number that a text of this column is, None for a missing one; NotANumber for anything else."""
        plain = _tidy(text)
        if plain.casefold() in _MISSING:
            return None
        if self.comma and self.dot and _EITHER.fullmatch(plain):
            raise NotANumber(_ambiguous(text, "the column has decimal commas and decimal dots"))
        if _EITHER.fullmatch(plain) and "," in plain and not self.comma:
            if not self.dot:
                raise NotANumber(_ambiguous(text, "no other dose tells which sign is the decimal one"))
            return float(plain.replace(",", ""))
        if _EITHER.fullmatch(plain) and "." in plain and self.comma:
            return float(plain.replace(".", ""))
        if _EITHER.fullmatch(plain) and "." in plain and self.semicolons and not self.dot:
            raise NotANumber(_ambiguous(text, "semicolons separate the cells, so the dot may be one of thousands"))
        return _read(plain, text)


def _read(plain: str, text: str) -> float:
    if _PLAIN.fullmatch(plain):
        return float(plain)
    if _COMMA.fullmatch(plain):
        return float(plain.replace(",", "."))
    if _COMMAS_THEN_DOT.fullmatch(plain):
        return float(plain.replace(",", ""))
    if _DOTS_THEN_COMMA.fullmatch(plain):
        return float(plain.replace(".", "").replace(",", "."))
    if _GROUPED.fullmatch(plain):
        return float(re.sub(r"[ '\u00a0\u202f\u2019]", "", plain).replace(",", "."))
    if plain.casefold().lstrip("+-") in ("inf", "infinity", "∞"):
        return float("inf")
    raise NotANumber(f"{text!r}, which is no number; write the number alone and its unit in the column unit")


def _ambiguous(text: str, why: str) -> str:
    whole = re.sub(r"[.,]", "", text.strip())
    part = text.strip().replace(",", ".")
    return f"{text!r}, which may be {whole} or {float(part):g}: {why}; write {whole}, or {float(part):g} as {part}0"


def _tidy(text: str) -> str:
    return text.strip().replace("\u2212", "-").strip("\u00a0\u202f ")
