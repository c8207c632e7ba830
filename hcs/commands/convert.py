"""`hcs convert`: raw image files in, a plate out, and a check that a plate map fits it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hcs.run.checks import check_plate_map, declared_wells, map_lines
from hcs.run.progress import quarters
from hcs.store.files.convert import convert_plate
from hcs.store.plate.nodes import Ngff
from hcs.store.plate.reader import open_plate
from hcs.store.platemap import read_plate_map

_MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Conversion:
    """How a conversion ended: lines that say what was done, and how many things are missing in the plate."""

    lines: tuple[str, ...]
    left_out: int


def convert_and_check(
    source: Path,
    plate: Path,
    *,
    layout: str | None,
    pattern: str | None,
    channels: tuple[str, ...] | None,
    z: str | None,
    t: str | None,
    plate_format: int | None,
    pixel_size_um: float | None,
    interval_min: float | None,
    times_min: tuple[float, ...] | None = None,
    well: str | None = None,
    ngff: Ngff,
    plate_map_path: Path | None,
    workers: int | None,
    say: Callable[[str], None],
) -> Conversion:
    """Convert, then compare with the plate map, if one is given; ``say`` is told first what was understood.

    A plate map that cannot be read is refused before anything is converted.
    """
    name = plate.name.removesuffix(".zarr").removesuffix(".ome")
    plate_map = read_plate_map(plate_map_path, plate=name) if plate_map_path is not None else None
    summary = convert_plate(
        source,
        plate,
        layout=layout,
        pattern=pattern,
        channels=channels,
        z=z,
        t=t,
        plate_format=plate_format,
        pixel_size_um=pixel_size_um,
        interval_min=interval_min,
        times_min=times_min,
        well=well,
        ngff=ngff,
        workers=workers,
        progress=quarters("converted"),
        say=say,
    )
    lines = [
        f"{plate}: {summary.wells} wells, {summary.fields} fields, channels {', '.join(summary.channels)}",
        *([f"{summary.kept} fields were there from before, and read as they were written"] if summary.kept else []),
        *summary.notes,
    ]
    if summary.ignored:
        lines.append(f"{summary.ignored} image files show no plane of this plate and were left out")
    if summary.left_out:
        lines.append(f"{len(summary.left_out)} missing or damaged:")
        lines += [f"  {reason}" for reason in summary.left_out[:_MOST_NAMED]]
        if len(summary.left_out) > _MOST_NAMED:
            lines.append(f"  … and {len(summary.left_out) - _MOST_NAMED} more")
    written = open_plate(str(plate))
    lines += [*map_lines(plate_map), *check_plate_map(plate_map, declared_wells(written), written.path)]
    return Conversion(tuple(lines), len(summary.left_out))
