"""Times of frames from a CSV file. Alone in a file because it is read before any plate is opened, by two commands."""

from __future__ import annotations

from pathlib import Path

from hcs.errors import ConfigError, PlateError
from hcs.plate.times import check_times
from hcs.store.sheets import read_sheet

_MINUTES = {"minutes": 1.0, "min": 1.0, "time_min": 1.0, "hours": 60.0, "h": 60.0, "seconds": 1 / 60, "s": 1 / 60}
_FRAMES = ("frame", "timepoint", "t")


def read_times(path: Path) -> tuple[float, ...]:
    """Minutes of every frame since the first, of a CSV file with a column ``minutes`` (or ``hours``, ``seconds``), one
    row a frame, in the order of a column ``frame`` where there is one; ConfigError where it is no such file."""
    try:
        rows = read_sheet(path.read_bytes(), str(path)).rows
    except PlateError as error:
        raise ConfigError(str(error).replace("plate map ", "--times ", 1)) from error
    except OSError as error:
        raise ConfigError(f"--times {path} cannot be read ({error.strerror}); check the path") from error
    head = [cell.strip().casefold() for cell in rows[0]] if rows else []
    named = [name for name in head if name in _MINUTES]
    if len(named) != 1:
        raise ConfigError(
            f"--times {path} has the columns {', '.join(head) or '(none)'}; it must have one of {', '.join(_MINUTES)}, "
            "with the time of a frame in every row"
        )
    place = head.index(named[0])
    order = next((head.index(name) for name in _FRAMES if name in head), None)
    found: list[tuple[float, float]] = []
    for number, row in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in row):
            continue
        try:
            frame = float(len(found)) if order is None else float(row[order])
            found.append((frame, float(row[place]) * _MINUTES[named[0]]))
        except (ValueError, IndexError) as error:
            raise ConfigError(f"--times {path}, row {number} is {', '.join(row)!r}, no time of a frame") from error
    found.sort()
    frames = [frame for frame, _ in found]
    if order is not None and frames != [frames[0] + k for k in range(len(frames))]:
        raise ConfigError(f"--times {path} does not give every frame once, from the first to the last; give each a row")
    return check_times([minute for _, minute in found], f"--times {path}")
