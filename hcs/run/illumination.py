"""The illumination that a run corrects its fields with: estimated from the plate, given, or kept from before."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from hcs.config import Config
from hcs.errors import ConfigError, FieldError
from hcs.field.job import Job
from hcs.machine import cores
from hcs.measure.fill import find_fill
from hcs.measure.flatfield import FEWEST_FIELDS, estimate_light
from hcs.measure.illumination import reduced
from hcs.measure.intensity import Floats32
from hcs.plate.channels import Channels
from hcs.plate.keys import FieldKey
from hcs.store.illumination import (
    Lights,
    illumination_hash,
    illumination_path,
    read_illumination,
    write_illumination,
)
from hcs.store.location import Location, location
from hcs.store.plate.companions import FLATFIELD, companion
from hcs.store.plate.reader import read_field

_MOST_FIELDS = 128
"""Fields that an estimate looks at, evenly spread over the plate: more only cost time."""


@dataclass(frozen=True, slots=True, eq=False)
class Illumination:
    """What a run's fields are corrected with."""

    source: str
    """``estimate``, ``plate`` (the microscope's), or the path it was given by."""
    lights: Lights
    sha256: str

    def plain(self) -> dict[str, Any]:
        """For ``run.json``: source, hash, and for each channel its range, fields, standard error and reason."""
        channels = {
            name: {
                "brightest_to_darkest": round(float(light.flat.max() / light.flat.min()), 4),
                "fields": light.fields,
                "standard_error": None if math.isnan(light.error) else round(light.error, 5),
                "reason": light.reason,
            }
            for name, light in self.lights.items()
        }
        return {"source": self.source, "sha256": self.sha256, "channels": channels}

    def notes(self) -> tuple[str, ...]:
        """A sentence on each channel."""
        return tuple(
            f"Illumination of {name} was left as it is: {light.reason}."
            if light.reason
            else f"Illumination of {name} was corrected: brightest to darkest place "
            f"{light.flat.max() / light.flat.min():.2f}"
            + ("." if math.isnan(light.error) else f", standard error {light.error:.1%}, from {light.fields} fields.")
            for name, light in self.lights.items()
        )


def given_illumination(config: Config, channels: Channels, plate: str) -> Illumination | None:
    """The illumination that the configuration gives a path of, or that ``plate`` has; None for ``none`` and
    ``estimate``.

    ConfigError where the file cannot be read or lacks a channel.
    """
    if config.illumination in ("auto", "none", "estimate"):
        return None
    path = companion(plate, FLATFIELD) if config.illumination == "plate" else location(config.illumination)
    if path is None:
        raise ConfigError(
            f"illumination: plate: {plate} has no flat-field of a microscope; say none, estimate or a file"
        )
    lights = read_illumination(path, channels.names)
    return Illumination(config.illumination, lights, illumination_hash(lights))


def chosen_illumination(config: Config, plate: str) -> tuple[Config, tuple[str, ...]]:
    """The configuration with ``auto`` made ``plate``, where the plate has its microscope's flat-field, or ``none``; and
    a sentence where that is a choice that the user did not make."""
    if config.illumination != "auto":
        return config, ()
    if companion(plate, FLATFIELD) is None:
        return config.override(illumination="none"), ()
    return config.override(illumination="plate"), (
        "Illumination is corrected by the microscope's own flat-field, which came with the plate; --illumination none "
        "or estimate says otherwise.",
    )


def settle_illumination(
    given: Illumination | None, job: Job, keys: tuple[FieldKey, ...], *, known: Mapping[str, Any] | None
) -> Illumination | None:
    """The illumination of a run: ``given``, or, of a run that goes on, that in its folder, or estimated.

    ``known`` is what the folder's record says of it. None where the configuration says ``none``. The estimate is the
    same for the same plate; ConfigError where too few fields can be read, or the folder's own illumination was changed
    since its fields were processed.
    """
    if given is not None or job.config.illumination in ("auto", "none"):
        return given
    path = illumination_path(location(job.out))
    kept = known is not None and path.exists()
    lights: Lights = read_illumination(path, job.channels.names) if kept else estimate_illumination(job, keys)
    sha256 = illumination_hash(lights)
    if known is not None and sha256 != known["sha256"]:
        raise ConfigError(
            f"{path} is not what the finished fields of {job.out} were corrected with; put it back, or give a new "
            "--out folder"
        )
    return Illumination("estimate", lights, sha256)


def keep_illumination(out: Location, illumination: Illumination | None) -> None:
    """Write the illumination into the results folder, where workers and later runs find it."""
    if illumination is not None:
        write_illumination(illumination_path(out), illumination.lights)


def estimate_illumination(job: Job, keys: tuple[FieldKey, ...]) -> Lights:
    """Illumination of every channel, from at most 128 fields evenly spread over the plate.

    A field that cannot be read, was recorded in part, or is of another size than most, tells nothing here; the run will
    say what is wrong with it. ConfigError where fewer than 8 fields are left.
    """
    chosen = keys if len(keys) <= _MOST_FIELDS else [keys[i * len(keys) // _MOST_FIELDS] for i in range(_MOST_FIELDS)]
    with ThreadPoolExecutor(cores()) as pool:
        read = list(pool.map(lambda key: _reduced_field(job, key), chosen))
    fields = [field for field in read if field is not None]
    shapes = Counter(field.shape for field in fields)
    usual = max(shapes, key=lambda shape: (shapes[shape], shape)) if shapes else ()
    stack = [field for field in fields if field.shape == usual]
    if len(stack) < FEWEST_FIELDS:
        raise ConfigError(
            f"illumination: estimate needs {FEWEST_FIELDS} fields of one size, {len(stack)} of {len(keys)} can be "
            "read; say `illumination: none`, or give the path of another plate's illumination/flatfield.npz"
        )
    return {name: estimate_light(np.stack([field[i] for field in stack])) for i, name in enumerate(job.channels.names)}


def _reduced_field(job: Job, key: FieldKey) -> Floats32 | None:
    """One field (C, h, w), reduced; None where it cannot be read or was not recorded as a whole."""
    try:
        image = read_field(job.plate, key, channels=tuple(range(len(job.channels.names))), z=job.config.z)
        if find_fill(image) is not None:
            return None
        return np.stack([reduced(plane) for plane in image])
    except (FieldError, ValueError):
        return None
