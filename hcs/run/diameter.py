"""The size of a plate's nuclei, from some of its fields, before the first field is processed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hcs.config import Config
from hcs.engine.cluster import gathered
from hcs.errors import WorkersError
from hcs.field.worker import field_diameters
from hcs.plate.keys import FieldKey
from hcs.segment.diameter import FEWEST, Diameter, given_diameter, nucleus_diameters, plate_diameter
from hcs.segment.segmenter import Segmenter
from hcs.store.models import wanted_diameter

if TYPE_CHECKING:
    from hcs.engine.cluster import Client
    from hcs.field.job import Job

_FIELDS = 6
"""Fields looked at; as many again, up to four times, while they hold too few nuclei."""


def image_diameter(
    image: NDArray[Any], segmenter: Segmenter, config: Config, fill: NDArray[np.bool_] | None = None
) -> Diameter:
    """Size of the nuclei of one prepared image (Y, X) that is a plate of its own; ``fill`` was not recorded."""
    target = segmenter.diameter_px
    if config.diameter_px != "auto":
        return given_diameter(float(config.diameter_px), target)
    if target is None:
        return plate_diameter([], None)
    found = nucleus_diameters(image, segmenter, config.tiles, config.instances, fill)
    return plate_diameter([found], target, fewest=1)


def unasked_diameter() -> Diameter:
    """Where no network looks for nuclei, nobody needs to know their size."""
    return Diameter(float("nan"), 0, Fraction(1), "labels are given")


def settle_diameter(client: Client, job: Job, keys: tuple[FieldKey, ...]) -> Callable[[], Diameter]:
    """Size of the nuclei of the whole plate, as given or estimated by the workers from fields spread over it; they are
    at work when this returns, and calling what it returns waits for them.

    Fields are taken in a fixed order, evenly spread, so the same plate gives the same size; fields that cannot be read
    tell nothing.
    """
    target_px = wanted_diameter(job.model)
    if job.config.diameter_px != "auto":
        given = given_diameter(float(job.config.diameter_px), target_px)
        return lambda: given
    if target_px is None:
        return lambda: plate_diameter([], None)
    looks = [(partial(field_diameters, job.for_fields(some)), some) for some in _spread(keys)]
    first, *further = (partial(client.map, look, some, pure=False) for look, some in looks)
    looked_at = first()

    def wait() -> Diameter:
        found = _gathered(client, looked_at, first)
        for look in further:
            if sum(part.size for part in found) >= FEWEST:
                break
            found += _gathered(client, look(), look)
        return plate_diameter(found, target_px)

    return wait


def _gathered(client: Client, futures: list[Any], again: Callable[[], list[Any]]) -> list[NDArray[np.float64]]:
    """What the workers found. All of it, or another size would come of the same plate: fields whose workers died are
    looked at once more, and WorkersError says that they died again."""
    found = gathered(client, futures)
    if found is None:
        found = gathered(client, again())
    if found is None:
        raise WorkersError(
            "workers died again and again while they looked for the size of the nuclei, most likely out of memory; "
            "use fewer workers, or give --diameter-px"
        )
    return found


def _spread(keys: tuple[FieldKey, ...]) -> list[list[FieldKey]]:
    """Up to four portions of fields, each evenly spread over the plate, no field twice."""
    step = max(len(keys) // (4 * _FIELDS), 1)
    chosen = keys[step // 2 :: step][: 4 * _FIELDS]
    portions = max(-(-len(chosen) // _FIELDS), 1)
    return [list(chosen[start::portions]) for start in range(portions) if chosen[start::portions]]


def plain_diameter(diameter: Diameter) -> dict[str, Any]:
    """For ``run.json``: px (None where unknown), nuclei, scale as a fraction, reason."""
    px = None if np.isnan(diameter.px) else round(diameter.px, 2)
    return asdict(diameter) | {"px": px, "scale": str(diameter.scale)}


def read_diameter(data: Mapping[str, Any]) -> Diameter:
    """The inverse of `plain_diameter`."""
    px = float("nan") if data["px"] is None else float(data["px"])
    return Diameter(px, int(data["nuclei"]), Fraction(data["scale"]), str(data["reason"]))
