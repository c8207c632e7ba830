"""What a microscope knows of a plate beside its images, kept in the plate: the light of each channel, and what is in
the wells. `hcs run` uses both where the user says nothing else, and says so."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from hcs.measure.illumination import ChannelLight
from hcs.store.atomic import write_text
from hcs.store.illumination import write_illumination
from hcs.store.location import Location, location

FLATFIELD = "hcs/flatfield.npz"
PLATE_MAP = "hcs/platemap.csv"


def write_companions(
    folder: Path, channels: Mapping[str, ChannelLight | None], plate_map: Sequence[Sequence[str]]
) -> None:
    """Write the light of channels by their names, if any has one, and the plate map, if it has wells."""
    known = [light for light in channels.values() if light is not None]
    if known:
        even = ChannelLight(
            flat=np.ones_like(known[0].flat),
            background=np.zeros_like(known[0].flat),
            fields=0,
            reason="the microscope has no profile of it",
        )
        write_illumination(folder / FLATFIELD, {name: light or even for name, light in channels.items()})
    if len(plate_map) > 1:
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerows(plate_map)
        write_text(folder / PLATE_MAP, buffer.getvalue())


def companion(plate: str, name: str) -> Location | None:
    """`FLATFIELD` or `PLATE_MAP` of a plate, if that has it."""
    path = location(plate) / name
    return path if path.is_file() else None
