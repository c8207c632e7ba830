"""Film strips for the page of a plate with time, read from its images frame by frame; alone, because nothing else reads
one nucleus at many times."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.errors import HcsError
from hcs.report.over_time import Strip
from hcs.report.strips import strip_picture, told_frames, told_tracks
from hcs.store.results.crops import CENTER, cut
from hcs.store.results.folder import Results

_MOST_STRIPS = 24
_MOST_FRAMES = 14
_TRACK = ("Metadata_Well", "Metadata_Site", "Track_Label", "Track_FirstFrame", "Track_LastFrame")
_LABEL, _TIMEPOINT, _OBJECT = "Nuclei_TrackObjects_Label", "Metadata_Timepoint", "Metadata_ObjectNumber"


def film_strips(results: Results, tracks: pd.DataFrame, side_px: int) -> dict[str, Strip]:
    """Well → the film strip of one of its tracks, of at most 24 wells; none of a well whose images are out of reach."""
    channels = results.record.channels
    names = tuple(dict.fromkeys(name for name in (channels.nuclei, channels.sensor) if name))
    strips: dict[str, Strip] = {}
    told = told_tracks(tracks, _MOST_STRIPS)
    columns = [told[name].tolist() for name in _TRACK] if len(told) else [[]] * len(_TRACK)
    for well, site, track, first, last in zip(*columns, strict=True):
        frames = told_frames(first, last, _MOST_FRAMES)
        try:
            strips[str(well)] = _strip(results, names, (str(well), site, track), frames, side_px)
        except HcsError:  # the plate is gone, or labels are not the run's: there is no strip
            continue
    return strips


def _strip(
    results: Results, names: tuple[str, ...], which: tuple[str, int, int], frames: tuple[int, ...], side_px: int
) -> Strip:
    well, site, track = which
    here = [("Metadata_Site", "==", site), (_LABEL, "==", track), (_TIMEPOINT, "in", list(frames))]
    rows = results.nuclei(wells=[well], columns=[_TIMEPOINT, _OBJECT, *CENTER], where=here).sort_values(_TIMEPOINT)
    crops: list[list[NDArray[Any]]] = [[] for _ in names]
    masks: list[NDArray[np.bool_] | None] = []
    labelled = results.record.labels is not None
    for frame, number, y, x in rows[[_TIMEPOINT, _OBJECT, *CENTER]].itertuples(index=False, name=None):
        start = round(y) - side_px // 2, round(x) - side_px // 2
        for own, name in zip(crops, names, strict=True):
            own.append(cut(results.image(well, site, name, frame=int(frame)), start, side_px))
        masks.append(cut(results.labels(well, site, frame=int(frame)), start, side_px) == number if labelled else None)
    seen = tuple(int(frame) for frame in rows[_TIMEPOINT])
    return Strip(strip_picture(crops, masks), names, site, track, seen)
