"""Film strips of single tracks: the nucleus in the middle of each picture, its outline drawn, a row a channel."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.report.thumbnails import Bytes, contrast, webp

_SIDE_PX = 56
_MOST_BYTES = 40_000


def strip_picture(
    channels: Sequence[Sequence[NDArray[np.generic]]], masks: Sequence[NDArray[np.bool_] | None]
) -> bytes:
    """One WebP picture: the crops (side, side) of each channel over time, with the outlines of ``masks`` where the
    labels are known. All crops of a channel have one contrast."""
    rows = []
    for crops in channels:
        scale = contrast(list(crops))
        rows.append(np.hstack([_framed(scale.grey(crop), mask) for crop, mask in zip(crops, masks, strict=True)]))
    return webp(np.vstack(rows), most_bytes=_MOST_BYTES)[0]


def _framed(crop: Bytes, mask: NDArray[np.bool_] | None) -> Bytes:
    """A crop at the strip's size with its outline, and a thin edge to the next."""
    picture = np.asarray(cv2.resize(crop, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_LINEAR))
    if mask is not None and mask.any():
        shape = cv2.resize(mask.view(np.uint8), (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_NEAREST)
        contours, _ = cv2.findContours(shape, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        picture = np.ascontiguousarray(picture)
        cv2.drawContours(picture, contours, -1, 255, 1)
    return np.asarray(np.pad(picture, ((1, 1), (1, 1)), constant_values=90), np.uint8)


def told_tracks(tracks: pd.DataFrame, most: int) -> pd.DataFrame:
    """One track of each well, of at most ``most`` wells evenly spread over the plate: the longest of those that ended
    in a division, else the longest; of equals the better one."""
    if tracks.empty:
        return tracks
    ranked = tracks.assign(divided=tracks["Track_Ended"] == "divided").sort_values(
        ["divided", "Track_Frames", "Track_Quality", "Metadata_Site", "Track_Label"],
        ascending=[False, False, False, True, True],
    )
    best = ranked.drop_duplicates("Metadata_Well").sort_values("Metadata_Well")
    places = np.unique(np.linspace(0, len(best) - 1, min(most, len(best))).round().astype(int))
    return best.iloc[places]


def told_frames(first: int, last: int, most: int) -> tuple[int, ...]:
    """At most ``most`` frames from first to last, evenly spread."""
    return tuple(int(frame) for frame in np.unique(np.linspace(first, last, min(most, last - first + 1)).round()))
