"""The background that a run's sensor ratios are made with: each field's own, the plate's, or a stated one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from hcs.config import Config
from hcs.errors import ConfigError, FieldError
from hcs.field.job import Job
from hcs.field.large import is_large
from hcs.machine import cores
from hcs.measure.fill import find_fill
from hcs.measure.ground import shows_ground
from hcs.measure.intensity import as_float32, background_of, block_means
from hcs.plate.channels import Channels
from hcs.plate.keys import FieldKey
from hcs.store.plate.reader import open_field, read_info

_MOST_FIELDS = 24
"""Fields that the plate's background is taken from, evenly spread over it."""
_FEWEST_FREE = 1


@dataclass(frozen=True, slots=True)
class PlateBackground:
    """Background by channel for fields that have none of their own, grey levels; empty where there is none."""

    source: str
    """``field``, ``stated``, ``plate``: from fields of the plate; ``auto`` where each field's own comes first."""
    levels: Mapping[str, float]
    fields: int = 0
    """Fields with ground among those looked at, in the sensor's channel."""
    looked_at: int = 0

    def plain(self) -> dict[str, Any]:
        """For ``run.json``."""
        return {
            "source": self.source,
            "levels": dict(self.levels),  # to the last bit: a run that goes on reads them here
            "fields": self.fields,
            "looked_at": self.looked_at,
        }

    def notes(self, sensor: str | None) -> tuple[str, ...]:
        """What the user should know."""
        if sensor is None or self.source == "field":
            return ()
        if self.source == "stated":
            return (f"Background of {sensor} is {self.levels[sensor]:g} grey levels, as stated.",)
        if sensor not in self.levels:
            return (
                f"No field of {self.looked_at} looked at shows ground without cells in channel {sensor}: sensor ratios "
                "are NaN and the fields flagged background_in_cells; state the camera's offset with --background, or "
                "say --background field to take the darkest cells for background.",
            )
        own = "every field" if self.source == "plate" else "fields without ground of their own"
        return (
            f"Background of {sensor} for {own}: {self.levels[sensor]:.1f} grey levels, from {self.fields} of "
            f"{self.looked_at} fields looked at, the emptiest.",
        )


def stated_background(config: Config, channels: Channels) -> PlateBackground | None:
    """The background that the configuration states; None where the plate must be looked at.

    ConfigError for text that is neither a word it knows, a number, nor channels with numbers.
    """
    text = config.background.strip()
    if text in ("auto", "plate"):
        return None
    if text == "field":
        return PlateBackground("field", {})
    levels: dict[str, float] = {}
    for part in text.split(","):
        name, _, number = part.rpartition("=")
        try:
            level = float(number)
        except ValueError:
            level = math.nan
        if not math.isfinite(level) or (name and name.strip() not in channels.names):
            raise ConfigError(
                f"background: {config.background!r} is neither auto, field, plate, a number of grey levels, nor "
                f"CHANNEL=NUMBER parted by commas with the channels {', '.join(channels.names)}"
            )
        levels |= {name.strip(): level} if name else dict.fromkeys(channels.names, level)
    sensor = None if channels.sensor is None else channels.names[channels.sensor]
    if sensor is not None and sensor not in levels:
        raise ConfigError(f"background: {config.background!r} names no level of the sensor's channel {sensor}; add it")
    return PlateBackground("stated", levels)


def settle_background(job: Job, keys: tuple[FieldKey, ...], *, known: Mapping[str, Any] | None) -> PlateBackground:
    """The background of a run: stated, or, of a run that goes on, that of its record, or estimated from at most 24
    fields evenly spread over the plate, the same for the same plate.

    The plate's level in a channel is the median over the emptier half of the fields that show ground.
    """
    stated = stated_background(job.config, job.channels)
    if stated is not None:
        return stated
    if known is not None:
        return PlateBackground(known["source"], known["levels"], known["fields"], known["looked_at"])
    if job.channels.sensor is None:
        return PlateBackground(job.config.background, {})
    n = min(len(keys), _MOST_FIELDS)
    chosen = [keys[i * len(keys) // n] for i in range(n)]
    with ThreadPoolExecutor(cores()) as pool:
        looks = [look for look in pool.map(lambda key: _look(job, key), chosen) if look is not None]
    levels: dict[str, float] = {}
    free = 0
    for c, name in enumerate(job.channels.names):
        known_levels = sorted(look[c] for look in looks if math.isfinite(look[c]))
        if c == job.channels.sensor:
            free = len(known_levels)
        if len(known_levels) >= _FEWEST_FREE:
            levels[name] = float(np.median(known_levels[: -(-len(known_levels) // 2)]))
    return PlateBackground(job.config.background, levels, free, len(looks))


def _look(job: Job, key: FieldKey) -> list[float] | None:
    """Background of each channel of one field, NaN where it shows no ground; None where the field tells nothing."""
    try:
        field = open_field(job.plate, key)
        if is_large(field.info, job.config):
            return None
        image = field.read(z=job.config.z, channels=tuple(range(len(job.channels.names))))
        fill = find_fill(image)
        missing = None if fill is None else fill.mask
        if fill is not None and fill.blank:
            return None
        found = [block_means(as_float32(plane), job.config.measure, missing) for plane in image]
    except (FieldError, ValueError):
        return None
    return [background_of(means, job.config.measure) if shows_ground(means) else math.nan for means in found]


def ring_note(job: Job, keys: tuple[FieldKey, ...]) -> str:
    """How wide the ring is, in px and, where the first readable field states its pixel size, in µm."""
    size = None
    for key in keys[:8]:
        try:
            size = read_info(job.plate, key).pixel_size_um
            break
        except FieldError:
            continue
    settings = job.config.measure.for_pixels(size)
    if size is None:
        return (
            f"Ring: {settings.ring_width_px} px wide, because the plate does not state its pixel size; at another "
            "magnification set measure.ring_width_px."
        )
    return f"Ring: {settings.ring_width_px} px wide, {settings.ring_width_px * size:.2f} µm at {size:.4g} µm a pixel."
