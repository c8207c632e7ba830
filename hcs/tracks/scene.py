"""What joining and divisions look at together: nuclei, how they move, and what the user allows. Alone in a file because
it is handed through both rooms' files, and neither owns it."""

from __future__ import annotations

from dataclasses import dataclass

from hcs.tracks.detections import Detections, Flags, Floats
from hcs.tracks.motion import Motion
from hcs.tracks.settings import TrackSettings


@dataclass(frozen=True, slots=True)
class Scene:
    """One field over time."""

    detections: Detections
    motion: Motion
    by_border: Flags
    """(n,) whether a nucleus is so near to the field's border that it may come or go there."""
    settings: TrackSettings
    time: Floats
    """(n,) minutes; NaN where they are not known."""
