"""The nuclei of one field in all its frames, in the order of time, as linking needs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

TIMEPOINT = "Metadata_Timepoint"
TIME_MIN = "Metadata_Time_min"
NUMBER = "Metadata_ObjectNumber"
CENTER_X = "Nuclei_AreaShape_Center_X"
CENTER_Y = "Nuclei_AreaShape_Center_Y"
AREA = "Nuclei_AreaShape_Area"
DNA_CONTENT = "Nuclei_DNA_Content"
TOUCHES_BORDER = "Nuclei_Flag_TouchesBorder"
NEEDED = (TIMEPOINT, NUMBER, CENTER_X, CENTER_Y, AREA)


@dataclass(frozen=True, slots=True)
class Detections:
    """``n`` nuclei by frame and number; ``order`` are their rows in the table they came from."""

    order: Ints
    frame: Ints
    """(n,) time point, ascending."""
    number: Ints
    """(n,) Metadata_ObjectNumber."""
    place: Floats
    """(n, 2) centre (y, x) in px, as measured."""
    still: Floats
    """(n, 2) the same, the field's drift taken out."""
    area: Floats
    """(n,) px."""
    content: Floats
    """(n,) DNA content; NaN where not measured or not above 0."""
    edge: Flags
    """(n,) whether the nucleus touches the field's border."""
    shape_px: tuple[int, int]
    """(Y, X) of the field."""
    frames: Ints
    """(f,) the time points that have nuclei, ascending."""
    bounds: Ints
    """(f + 1,) where the nuclei of each of them begin."""
    diameter_px: float
    """Diameter of a disc of the median area; 1 without nuclei. It is asked for in every frame, and so made once."""

    @property
    def density(self) -> float:
        """Nuclei per px² and frame, in the median over frames."""
        counts = np.diff(self.bounds)
        return float(np.median(counts)) / float(self.shape_px[0] * self.shape_px[1]) if counts.size else 0.0

    def rows(self, position: int) -> slice:
        """The nuclei of the frame at ``position`` among ``frames``."""
        return slice(int(self.bounds[position]), int(self.bounds[position + 1]))

    def stilled(self, drift: Floats) -> Detections:
        """The same nuclei, with each frame's drift (f, 2) taken out of ``still``."""
        return replace(self, still=self.place - np.repeat(drift, np.diff(self.bounds), axis=0))

    def by_border(self, within_px: float) -> Flags:
        """Whether each nucleus (n,) touches the field's border or its centre lies so near to a side."""
        far = np.array(self.shape_px) - 1.0
        near: Flags = self.edge | (np.minimum(self.place, far - self.place).min(axis=1) <= within_px)
        return near

    def levelled(self, values: Floats) -> Floats:
        """Values (n,) relative to their frame's median, so that bleaching is no change of a nucleus."""
        level = np.full(len(values), np.nan)
        for position in range(len(self.frames)):
            rows = self.rows(position)
            known = values[rows][np.isfinite(values[rows])]
            if known.size:
                level[rows] = values[rows] / np.median(known)
        return level


def make_detections(columns: Mapping[str, npt.NDArray[Any]], shape_px: tuple[int, int]) -> Detections:
    """Detections from columns of the nucleus table, of any order of rows.

    Raises ValueError where one of ``NEEDED`` is missing or two nuclei of a frame have one number.
    """
    missing = [name for name in NEEDED if name not in columns]
    if missing:
        raise ValueError(f"tracks need the column(s) {', '.join(missing)} of the nucleus table")
    frame, number = (np.asarray(columns[name], np.int64) for name in (TIMEPOINT, NUMBER))
    order = np.lexsort((number, frame))
    frame, number = frame[order], number[order]
    if ((np.diff(frame) == 0) & (np.diff(number) == 0)).any():
        raise ValueError("two nuclei of one frame have the same Metadata_ObjectNumber")
    frames, starts = np.unique(frame, return_index=True)
    place = np.stack([np.asarray(columns[name], np.float64)[order] for name in (CENTER_Y, CENTER_X)], axis=1)
    content = np.full(len(order), np.nan)
    if DNA_CONTENT in columns:
        content = np.asarray(columns[DNA_CONTENT], np.float64)[order]
    edge = np.zeros(len(order), bool)
    if TOUCHES_BORDER in columns:
        edge = np.asarray(columns[TOUCHES_BORDER], bool)[order]
    area = np.maximum(np.asarray(columns[AREA], np.float64)[order], 1.0)
    return Detections(
        order=order,
        frame=frame,
        number=number,
        place=place,
        still=place,
        area=area,
        content=np.where(content > 0, content, np.nan),
        edge=edge,
        shape_px=shape_px,
        frames=frames,
        bounds=np.append(starts, len(frame)).astype(np.int64),
        diameter_px=float(np.sqrt(4 * np.median(area) / np.pi)) if area.size else 1.0,
    )
