"""What a worker needs to know to process any field of a run; small, frozen, picklable: paths and names, no pixels."""

from __future__ import annotations

from dataclasses import dataclass

from hcs.config import Config, LabelsTarget
from hcs.pipeline import Channels
from hcs.store.models import ModelFile
from hcs.store.plate import Plate


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One plate with one configuration into one results folder."""

    plate: Plate
    out: str
    """Results folder, absolute."""
    config: Config
    channels: Channels
    """The run's channels by index, agreed once for the whole plate."""
    model: ModelFile
    device: str
    """``cpu`` or ``cuda``."""
    labels: LabelsTarget
