"""Units of doses: many spellings of one, and factors between those of one kind."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction

_POWERS = {"": 0, "m": -3, "u": -6, "n": -9, "p": -12, "f": -15}
_SHOWN = {"": "", "m": "m", "u": "µ", "n": "n", "p": "p", "f": "f"}
_WORDS = {"milli": "m", "micro": "u", "nano": "n", "pico": "p", "femto": "f"}
_MOLAR = re.compile(r"([munpf]?)(?:m|molar|mol(?:e|es|s)?(?:/|\s?per\s?)(?:l|liter|litre)|mol(?:e|es)?\s?l-1)")
_MASS = re.compile(r"([munpf]?)g(?:/|\s?per\s?)(m?)l|([munpf]?)g\s?(m?)l-1")


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit as it is written, and what it is: ``kind`` molar, mass, or the text itself; ``scale`` is its size, in M or
    g/L for these."""

    text: str
    kind: str
    scale: Fraction = Fraction(1)

    @property
    def known(self) -> bool:
        """Whether the unit is a concentration that can be converted."""
        return self.kind in ("molar", "mass")

    def factor_to(self, other: Unit) -> Fraction | None:
        """What a dose in this unit is multiplied with to be in the other; None for another kind."""
        return self.scale / other.scale if self.kind == other.kind else None


def canonical_unit(text: str) -> Unit:
    """The unit that a text names: ``uM``, ``μM``, ``UM``, ``µmol/L`` and ``micromolar`` are one.

    Case tells nothing but M from m in front: ``mM`` is millimolar, ``M`` molar.
    """
    folded = unicodedata.normalize("NFKC", text).strip()
    spelled = folded.replace("μ", "u").replace("µ", "u").casefold()
    spelled = re.sub(r"\s+", " ", spelled).replace("\u207b\u00b9", "-1").replace("^-1", "-1")
    for word, prefix in _WORDS.items():
        spelled = re.sub(rf"^{word}[\s-]?(?=m|g)", prefix, spelled)
    match = _MOLAR.fullmatch(spelled)
    if match:
        return Unit(_SHOWN[match[1]] + "M", "molar", Fraction(10) ** _POWERS[match[1]])
    match = _MASS.fullmatch(spelled.replace("milliliter", "ml").replace("millilitre", "ml").replace("liter", "l"))
    if match:
        prefix, milli = match[1] or match[3] or "", match[2] or match[4] or ""
        scale = Fraction(10) ** (_POWERS[prefix] - _POWERS[milli])
        return Unit(f"{_SHOWN[prefix]}g/{milli}L", "mass", scale)
    return Unit(folded, f"text {spelled}")
