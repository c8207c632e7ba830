"""A part of a field too large for memory, measured as if all of the field were there."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
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
    grounds: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Channel → whose background that is, see `hcs.measure.measure.settled_background`."""
