"""Colours and text shared by the figures, so that a class looks the same in each of them."""

from __future__ import annotations

import math
import unicodedata

# Okabe & Ito's palette, told apart with every common colour blindness
NEGATIVE = "#56B4E9"
POSITIVE = "#D55E00"
SAMPLE = "#333333"
OUTLINE = "#E69F00"
COLOUR_MAP = "viridis"
PHASE_COLOURS = ("#999999", "#0072B2", "#E69F00", "#CC79A7", "#666666")


def short(text: object, limit: int = 32) -> str:
    """One line of at most ``limit`` printable characters, for labels; what is longer ends in an ellipsis."""
    line = "".join(" " if unicodedata.category(c).startswith(("C", "Z")) else c for c in str(text)[: 4 * limit])
    line = " ".join(line.split())
    return line if len(line) <= limit and len(str(text)) <= 4 * limit else line[: limit - 1] + "…"


def number(value: float, digits: int = 3) -> str:
    """``digits`` significant digits without an exponent where they fit; an en dash for NaN."""
    if not math.isfinite(value):
        return "–"
    magnitude = math.floor(math.log10(abs(value))) if value else 0
    if not -5 <= magnitude < 7:
        return f"{value:.{digits - 1}e}"
    return f"{value:,.{max(0, digits - 1 - magnitude)}f}"


def interval(value: float, low: float, high: float) -> str:
    """A value to two decimals with its interval in brackets; the interval is left out where there is none."""
    if not math.isfinite(value):
        return "–"
    return f"{value:.2f} ({low:.2f} to {high:.2f})" if math.isfinite(low) else f"{value:.2f}"
