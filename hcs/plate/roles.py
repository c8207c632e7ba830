"""What a well is for, in the words that labs use; alone because which words count is a decision of its own."""

from __future__ import annotations

import re

ROLES = ("negative", "positive", "sample", "empty")
"""What a well can be on a plate map."""

_WORDS = {
    "negative": (
        "negative",
        "neg",
        "negcon",
        "negctrl",
        "negcontrol",
        "negativecontrol",
        "negativectrl",
        "nc",
        "ncontrol",
        "negativ",
        "negativkontrolle",
        "negativekontrolle",
        "negkontrolle",
        "nk",
    ),
    "positive": (
        "positive",
        "pos",
        "poscon",
        "posctrl",
        "poscontrol",
        "positivecontrol",
        "positivectrl",
        "pc",
        "pcontrol",
        "positiv",
        "positivkontrolle",
        "positivekontrolle",
        "poskontrolle",
        "pk",
        "posconcp",  # of the JUMP consortium: of compounds, diverse ones, and of ORFs
        "poscondiverse",
        "posconorf",
    ),
    "sample": (
        *("sample", "samples", "compound", "treated", "treatment", "trt", "test", "testcompound", "testsample"),
        *("probe", "proben", "substanz", "testsubstanz", "behandelt"),
    ),
    "empty": ("empty", "unused", "notused", "none", "emptywell", "leer", "unbenutzt", "nichtbenutzt"),
}
_ROLE_OF = {word: role for role, words in _WORDS.items() for word in words}


def role_of(text: str) -> str | None:
    """The role that a word means, in any case and with blanks or signs in between; None where it names no role.

    ``DMSO``, ``vehicle`` and ``control`` name a treatment, not what it is compared with, and are not guessed.
    """
    return _ROLE_OF.get(re.sub(r"[\s_\-.]", "", text).casefold())
