"""What a worker needs to know to process any field of a run; small, frozen, picklable: paths and names, no pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from hcs.config import Config
from hcs.plate.channels import Channels
from hcs.plate.keys import FieldKey
from hcs.plate.times import FrameTimes
from hcs.store.models import ModelFile
from hcs.store.plate.edited_labels import EditedLabels
from hcs.store.plate.given_labels import GivenLabels
from hcs.store.plate.reader import Plate
from hcs.store.plate.target import LabelTarget


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
    cells_model: ModelFile | None = None
    """What tells where whole cells are and part; None: nobody, cells are grown by intensity, or not at all."""
    device: str
    """``cpu`` or ``cuda``."""
    given: GivenLabels | EditedLabels | None = None
    """Labels whose nuclei are measured; None: the model finds nuclei."""
    labels: LabelTarget | None
    """Where labels go; None: nowhere."""
    cell_labels: LabelTarget | None = None
    """Where the labels of whole cells go; None: nowhere, or none are grown."""
    micronucleus_labels: LabelTarget | None = None
    """Where the labels of micronuclei go; None: nowhere, or none are looked for."""
    run_id: str
    """That of the run's record; every ledger entry carries it."""
    scale: Fraction = Fraction(1)
    """Magnification at which the network sees every field; settled once for the whole plate."""
    cells_scale: Fraction = Fraction(1)
    """That at which the network of whole cells sees every field."""
    illumination: str | None = None
    """Hash of the illumination in ``out`` that fields are corrected with; None: they are taken as they are."""

    backgrounds: tuple[tuple[str, float], ...] | None = None
    """Channels and their backgrounds, by the plate or as stated; None: each field's own, whatever it shows."""

    interval_min: float | None = None
    """Minutes from one frame to the next, where the plate has time and somebody states them."""
    times_min: tuple[float, ...] | None = None
    """Minutes of every frame, where they are not evenly apart."""

    @property
    def targets(self) -> tuple[LabelTarget, ...]:
        """All labels that the run writes: the nuclei's, the cells', the micronuclei's."""
        every = self.labels, self.cell_labels, self.micronucleus_labels
        return tuple(target for target in every if target is not None)

    @property
    def texts(self) -> dict[str, str]:
        """Columns of the nucleus table that are one text for the whole plate."""
        return self.channels.texts

    @property
    def plate_backgrounds(self) -> dict[str, float] | None:
        """Channel → background; None: each field's own."""
        return None if self.backgrounds is None else dict(self.backgrounds)

    def time_min(self, key: FieldKey) -> float:
        """Minutes from the field's first frame to that of ``key``; NaN where they are not known."""
        return FrameTimes(self.interval_min, self.times_min).minutes(key.frame) if key.is_frame else math.nan

    def for_field(self, key: FieldKey) -> Job:
        """The same job with a plate that lists this field alone: what travels with every field stays small."""
        return self.for_fields((key,))

    def for_fields(self, keys: Sequence[FieldKey]) -> Job:
        """The same job with a plate that lists these fields alone."""
        given = None if self.given is None else self.given.only(keys)
        return replace(self, plate=self.plate.only(*keys), given=given)
