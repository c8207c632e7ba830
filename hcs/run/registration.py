"""Channels that do not lie on the one in which nuclei are found: a mask drawn there is off in them, and nothing in a
table tells. A run looks at some fields before the first one, moves nothing, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hcs.errors import FieldError
from hcs.field.job import Job
from hcs.field.large import is_large
from hcs.machine import cores
from hcs.measure.fill import find_fill
from hcs.measure.registration import Offset, offset_px, usual_offset
from hcs.plate.keys import FieldKey
from hcs.store.plate.reader import open_field
from hcs.store.results.record import RecordedChannels

_MOST_FIELDS = 8
"""Looked at, evenly spread over the plate."""
_LEAST_PX = 0.5
"""Offsets below are not told: they are within the outline of any mask."""


def settle_registration(
    job: Job, keys: tuple[FieldKey, ...], *, known: Mapping[str, Any] | None
) -> Mapping[str, Mapping[str, float]]:
    """Offset of every channel that is off by half a pixel or more, by name: y_px and x_px from the channel of the
    nuclei, and the fields looked at; of a run that goes on, what its record has. Channels without outlines in common
    with the nuclei tell nothing."""
    if known is not None:
        return known
    others = [c for c in range(len(job.channels.names)) if c != job.channels.nuclei]
    if not others:
        return {}
    n = min(len(keys), _MOST_FIELDS)
    chosen = [keys[i * len(keys) // n] for i in range(n)]
    with ThreadPoolExecutor(cores()) as pool:
        looks = [look for look in pool.map(lambda key: _look(job, key, others), chosen) if look is not None]
    found = {}
    for place, c in enumerate(others):
        usual = usual_offset([look[place] for look in looks])
        if usual is not None and max(abs(usual.y_px), abs(usual.x_px)) >= _LEAST_PX:
            found[job.channels.names[c]] = {
                "y_px": round(usual.y_px, 2),
                "x_px": round(usual.x_px, 2),
                "fields": len(looks),
            }
    return found


def registration_notes(
    registration: Mapping[str, Mapping[str, float]] | None, channels: RecordedChannels
) -> tuple[str, ...]:
    """One sentence for each channel that is off, the worse the more its readout depends on it."""
    notes = []
    for name, offset in (registration or {}).items():
        ways = ((offset["x_px"], "right", "left"), (offset["y_px"], "below", "above"))
        where = " and ".join(
            f"{abs(px):.1f} px {'to the ' * (far in ('right', 'left'))}{far}"
            for px, far in ((px, more if px > 0 else less) for px, more, less in ways)
            if abs(px) >= _LEAST_PX
        )
        worse = (
            f"sensor ratios lean towards 1; nuclei found in {name} itself (--nuclei {name}) lie where they are measured"
            if name == channels.sensor and not channels.by_sensor
            else "what is measured in it is off"
        )
        notes.append(
            f"Channel {name} lies {where} of {channels.nuclei}, in which nuclei were found (median of "
            f"{offset['fields']} fields): {worse}. Nothing was moved."
        )
    return tuple(notes)


def _look(job: Job, key: FieldKey, others: list[int]) -> list[Offset] | None:
    """Offset of each of ``others`` in one field; None where the field cannot be read, or is too large to read now."""
    try:
        field = open_field(job.plate, key)
        if is_large(field.info, job.config):
            return None
        planes = field.read(z=job.config.z, channels=(job.channels.nuclei, *others))
        if find_fill(planes) is not None:  # its outline is in the same place in all channels
            return None
    except (FieldError, ValueError):
        return None
    return [offset_px(plane, planes[0]) for plane in planes[1:]]
