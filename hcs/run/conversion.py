"""`hcs convert`: raw image files in, a plate out, and a check that a plate map fits it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from hcs.run.plan import check_plate_map, declared_wells, map_lines
from hcs.run.progress import quarters
from hcs.store.convert import convert_plate
from hcs.store.nodes import Ngff
from hcs.store.plate import open_plate
from hcs.store.platemap import read_plate_map


def convert_and_check(
    source: Path,
    plate: Path,
    *,
    layout: Literal["bbbc013"] | None,
    pattern: str | None,
    channels: tuple[str, ...] | None,
    pixel_size_um: float | None,
    ngff: Ngff,
    plate_map_path: Path | None,
) -> list[str]:
    """Convert, then compare with the plate map, if one is given; lines that say what was done.

    A plate map that cannot be read is refused before anything is converted.
    """
    plate_map = read_plate_map(plate_map_path) if plate_map_path is not None else None
    summary = convert_plate(
        source,
        plate,
        layout=layout,
        pattern=pattern,
        channels=channels,
        pixel_size_um=pixel_size_um,
        ngff=ngff,
        progress=quarters("converted"),
    )
    lines = [f"{plate}: {summary.wells} wells, {summary.fields} fields, channels {', '.join(summary.channels)}"]
    if summary.ignored:
        lines.append(f"{summary.ignored} image files did not match the pattern and were left out")
    written = open_plate(str(plate))
    return [*lines, *map_lines(plate_map), *check_plate_map(plate_map, declared_wells(written), written.path)]
