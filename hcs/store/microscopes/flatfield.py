"""Harmony's flat-field profiles: polynomials of the background and the foreground of a channel, as texts.

A text is nearly JSON: ``{Background: {Character: NonFlat, Mean: 373.7, Profile: {Coefficients: [[1.1], [-0.02, 0.03]],
Dims: [1080, 1080], Origin: [539.5, 539.5], Scale: [0.00093, 0.00093], Type: Polynomial}}, Foreground: …}``. Row n of
the coefficients has the terms of degree n, x^n first and y^n last. Nobody has published that order; of the images of a
real export, the background correlates with it by 0.85 to 0.97, with the other by 0.25 to 0.85.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from hcs.measure.illumination import SIDE_PX, ChannelLight
from hcs.measure.intensity import Floats32

_KEY = re.compile(r"([{,]\s*)([A-Za-z_]\w*)\s*:")
_WORD = re.compile(r'("\s*:\s*)([A-Za-z][^,}\]]*)')
_NUMBERS = re.compile(r'("\s*:\s*)[-+]?(?:inf|nan)\b', re.IGNORECASE)
_DARKEST = 0.05
"""A profile below this somewhere is none of light: it would be divided by."""


def read_flatfield(text: str) -> ChannelLight | None:
    """The light that a profile tells; None where it says that there is none, or cannot be read.

    With a foreground, its shape divides the signal; without, the background's alone is taken off, as Harmony does.
    """
    profile = _parsed(text)
    background, foreground = (_surface(_part(profile, name)) for name in ("Background", "Foreground"))
    if background is None and foreground is None:
        return None
    like = background if background is not None else foreground
    assert like is not None
    mean = _part(profile, "Background").get("Mean")
    level = float(mean) if isinstance(mean, int | float) and math.isfinite(mean) else 0.0
    if foreground is not None and foreground.shape != like.shape:
        return None
    return ChannelLight(
        flat=np.ones_like(like) if foreground is None else foreground,
        background=np.full_like(like, level) if background is None else level * background,
        fields=0,
        reason=""
        if foreground is not None
        else ("Harmony measured its background alone, whose shape is taken off, and the signal is not divided"),
    )


def _part(profile: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = profile.get(name)
    return found if isinstance(found, dict) else {}


def _parsed(text: str) -> Mapping[str, Any]:
    quoted = _NUMBERS.sub(r"\1null", _KEY.sub(r'\1"\2":', text))
    try:
        found = json.loads(_WORD.sub(lambda m: m[0] if _is_json(m[2]) else f"{m[1]}{json.dumps(m[2].strip())}", quoted))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _is_json(word: str) -> bool:
    return word.strip() in ("null", "true", "false")


def _surface(part: Mapping[str, Any]) -> Floats32 | None:
    """A polynomial over the field, (h, w) with a longest side of 256, put to a mean of 1; None for anything else."""
    profile = _part(part, "Profile")
    try:
        if profile.get("Type") != "Polynomial":
            return None
        (width, height), (x0, y0), (dx, dy) = profile["Dims"], profile["Origin"], profile["Scale"]
        rows = [[float(term) for term in row] for row in profile["Coefficients"]]
        scale = min(1.0, SIDE_PX / max(width, height))
        h, w = max(1, round(height * scale)), max(1, round(width * scale))
        y, x = ((np.arange(n) + 0.5) * full / n - 0.5 for n, full in ((h, height), (w, width)))
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    x, y = (x - x0) * dx, ((y - y0) * dy)[:, None]
    found = np.zeros((h, w))
    for degree, terms in enumerate(rows):
        for k, term in enumerate(terms[: degree + 1]):
            found += term * x ** (degree - k) * y**k
    mean = found.mean()
    if not np.isfinite(found).all() or not mean > 0 or found.min() < _DARKEST * mean:
        return None
    even: Floats32 = (found / mean).astype(np.float32)
    return even
