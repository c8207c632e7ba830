"""All frames of one field: nuclei in, tracks out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hcs.columns import Column
from hcs.tracks.columns import NUCLEUS_COLUMNS, PREFIX, TRACK_COLUMNS
from hcs.tracks.detections import TIME_MIN, Detections, Floats, Ints, make_detections
from hcs.tracks.drift import field_drift
from hcs.tracks.joining import Joined, join
from hcs.tracks.lineage import Lineage, began, death_frames, ended, make_lineage
from hcs.tracks.linking import UNLINKED, Links, link_frames
from hcs.tracks.motion import Motion, learn_motion, nearest_links
from hcs.tracks.quality import Worth, area_jumps
from hcs.tracks.scene import Scene
from hcs.tracks.settings import TrackSettings

Table = dict[str, npt.NDArray[Any]]
_FAR = 0.5  # of the distance between neighbours: steps as long as that cannot be told from swaps
_DOUBTFUL = 0.5


@dataclass(frozen=True, slots=True)
class FieldTracks:
    """Tracks of one field."""

    nuclei: Table
    """``NUCLEUS_COLUMNS`` (n,), in the order of the rows that went in."""
    tracks: Table
    """``TRACK_COLUMNS`` (p,), by first frame and number of the first nucleus."""
    notes: tuple[str, ...]
    """Sentences for the reader: what was missing, and what the movie makes hard."""


def track_field(
    columns: Mapping[str, npt.NDArray[Any]],
    *,
    interval_min: float | None,
    shape_px: tuple[int, int],
    settings: TrackSettings,
) -> FieldTracks:
    """Link the nuclei of one field over its frames; the result does not depend on the order of the rows.

    Args:
        columns: columns of the nucleus table, (n,) each: Metadata_Timepoint, Metadata_ObjectNumber, the centre and the
            area; DNA content, Nuclei_Flag_TouchesBorder and Metadata_Time_min where they are there.
        interval_min: minutes between frames; None where not known.
        shape_px: (Y, X) of the field.
        settings: limits of links and divisions.

    Raises ValueError where a column is missing.
    """
    detections = make_detections(columns, shape_px)
    if not len(detections.frame):
        return FieldTracks(_empty(NUCLEUS_COLUMNS), _empty(TRACK_COLUMNS), ())
    drift = field_drift(detections)
    detections = detections.stilled(drift)
    motion, links = _linked(detections, settings)
    reach = detections.diameter_px + 3 * motion.scale_px + _widest(drift)
    by_border = detections.by_border(reach)
    times = _times(columns, detections, interval_min)
    scene = Scene(detections, motion, by_border, settings, times)
    joined = join(scene, links)
    lineage = make_lineage(joined.links.previous, joined.mother)
    worth = Worth.of(detections, lineage, joined)
    tracks = _tracks(scene, lineage, joined, worth, times)
    nuclei = _nuclei(detections, lineage, joined, worth)
    back = np.argsort(detections.order)
    return FieldTracks(
        typed({name: values[back] for name, values in nuclei.items()}, NUCLEUS_COLUMNS),
        typed(tracks, TRACK_COLUMNS),
        _notes(scene, drift, worth.quality),
    )


def typed(table: Table, columns: tuple[Column, ...]) -> Table:
    """The table with exactly these columns, of their types; texts are objects."""
    return {c.name: table[c.name].astype(object if c.dtype == "string" else c.dtype) for c in columns}


def _empty(columns: tuple[Column, ...]) -> Table:
    return typed({column.name: np.zeros(0) for column in columns}, columns)


def _linked(detections: Detections, settings: TrackSettings) -> tuple[Motion, Links]:
    """Links between frames, by a motion learned from nearest neighbours, then once more from the links themselves."""
    step = None if settings.max_step_px == "auto" else float(settings.max_step_px)
    first = learn_motion(detections, *nearest_links(detections), unlinked=-UNLINKED, max_step_px=step)
    after = np.flatnonzero((links := link_frames(detections, first)).previous >= 0)
    motion = learn_motion(detections, links.previous[after], after, unlinked=-UNLINKED, max_step_px=step)
    return motion, link_frames(detections, motion)


def _widest(drift: Floats) -> float:
    """Median movement (px) of the field from frame to frame: as wide is the rim that nuclei enter by."""
    return float(np.median(np.hypot(*np.diff(drift, axis=0).T))) if len(drift) > 1 else 0.0


def _times(columns: Mapping[str, npt.NDArray[Any]], detections: Detections, interval_min: float | None) -> Floats:
    """Time (n,) of each nucleus in minutes: as recorded, else by the interval; NaN where neither is known."""
    counted = detections.frame.astype(np.float64) * (np.nan if interval_min is None else interval_min)
    if TIME_MIN not in columns:
        return counted
    recorded = np.asarray(columns[TIME_MIN], np.float64)[detections.order]
    return np.where(np.isfinite(recorded), recorded, counted)


def _steps(detections: Detections, joined: Joined) -> tuple[Ints, Floats]:
    """The nucleus (n,) that each goes on from or is born of (-1: none), and its distance (n,) from there."""
    source = np.where(joined.mother >= 0, joined.mother, joined.links.previous)
    distance = np.hypot(*(detections.still - detections.still[np.maximum(source, 0)]).T)
    return source, np.where(source >= 0, distance, np.nan)


def _nuclei(detections: Detections, lineage: Lineage, joined: Joined, worth: Worth) -> Table:
    source, distance = _steps(detections, joined)
    linked, at = source >= 0, np.maximum(source, 0)
    track = lineage.track
    named = {
        "Label": track + 1,
        "LineageLabel": lineage.founder[track] + 1,
        "ParentLabel": lineage.parent[track] + 1,
        "ParentObjectNumber": np.where(linked, detections.number[at], 0),
        "ParentTimepoint": np.where(linked, detections.frame[at], -1),
        "Lifetime": detections.frame - detections.frame[lineage.first[track]] + 1,
        "LinkingDistance": distance,
        "LinkScore": worth.score,
        "Jump": worth.jump,
        "Quality": worth.quality[track],
    }
    return {PREFIX + name: values for name, values in named.items()}


def _tracks(scene: Scene, lineage: Lineage, joined: Joined, worth: Worth, times: Floats) -> Table:
    detections, by_border = scene.detections, scene.by_border
    track, first, last = lineage.track, lineage.first, lineage.last
    frames = np.bincount(track, minlength=lineage.count)
    within = joined.links.previous >= 0
    steps = np.where(within, _steps(detections, joined)[1], 0.0)
    death = death_frames(detections, lineage, scene.settings)
    named = {
        "Label": np.arange(lineage.count) + 1,
        "Parent": lineage.parent + 1,
        "Lineage": lineage.founder + 1,
        "FirstFrame": detections.frame[first],
        "LastFrame": detections.frame[last],
        "Frames": frames,
        "FirstMin": times[first],
        "LastMin": times[last],
        "Began": began(detections, lineage, joined.links.previous, by_border),
        "Ended": ended(detections, lineage, joined.links.following, by_border, death),
        "DeathFrame": death,
        "Quality": worth.quality,
        "JumpMax": _largest(worth.jump, lineage),
        "AreaJumps": area_jumps(detections, joined, lineage),
        "Gaps": detections.frame[last] - detections.frame[first] + 1 - frames,
        "MedianArea": _medians(detections.area, lineage),
        "Path": np.bincount(track, weights=steps, minlength=lineage.count),
        "Displacement": np.hypot(*(detections.still[last] - detections.still[first]).T),
    }
    return {f"Track_{name}": np.asarray(values) for name, values in named.items()}


def _largest(values: Floats, lineage: Lineage) -> Floats:
    """Largest finite value (p,) of each track; NaN without any."""
    largest = np.full(lineage.count, -np.inf)
    np.maximum.at(largest, lineage.track, np.where(np.isfinite(values), values, -np.inf))
    return np.where(np.isfinite(largest), largest, np.nan)


def _medians(values: Floats, lineage: Lineage) -> Floats:
    """Median (p,) of each track's values."""
    order = np.lexsort((values, lineage.track))
    counts = np.bincount(lineage.track, minlength=lineage.count)
    start = np.cumsum(counts) - counts
    ranked = values[order]
    middle: Floats = (ranked[start + (counts - 1) // 2] + ranked[start + counts // 2]) / 2
    return middle


def _notes(scene: Scene, drift: Floats, quality: Floats) -> tuple[str, ...]:
    """What to know of the links; sentences without their full stop, for they are put together."""
    notes = []
    detections, motion = scene.detections, scene.motion
    frames = detections.frames
    missing = int(frames[-1] - frames[0] + 1 - len(frames)) if len(frames) else 0
    if missing:
        notes.append(f"{missing} frame(s) between the first and the last have no nucleus; links go over them")
    if len(frames) > 1:
        jump = float(np.hypot(*np.diff(drift, axis=0).T).max())
        if jump > detections.diameter_px:
            notes.append(f"The field moved by up to {jump:.0f} px from one frame to the next; that was taken out")
        spacing = 0.5 / np.sqrt(motion.density)  # mean distance of the nearest neighbour, at random places
        if motion.scale_px > _FAR * spacing:
            notes.append(
                f"Nuclei move about {motion.scale_px:.0f} px a frame and lie about {spacing:.0f} px apart: frames are "
                "too rare to link them surely; film more often, or take fewer cells"
            )
        doubtful = float((quality < _DOUBTFUL).mean())
        if doubtful > 0.2:
            notes.append(f"{doubtful:.0%} of the tracks have a quality below {_DOUBTFUL:g}")
        if not np.isfinite(scene.time).all():
            notes.append("No interval of the frames is known: divisions may follow each other in any time")
    return tuple(notes)
