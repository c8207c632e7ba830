"""A part of a field too large for memory, measured as if all of the field were there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Where a part of a field lies, and what only the whole field tells.

    Measurements are those of the whole field for nuclei whose box, grown by 5 times ``MeasureSettings.reach_px``, lies
    in the window or ends with the field.
    """

    origin: tuple[int, int]
    """Row and column of the field where the window starts."""
    field: tuple[int, int]
    """Height and width of the field."""
    backgrounds: Mapping[str, float]
    """Channel → the field's background, grey levels."""
