"""Layout of a simulated plate: which well gets what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pandas as pd

from hcs.errors import PlateError
from hcs.plate.keys import FieldKey, WellId
from hcs.simulate.compounds import COMPOUNDS, LIVE_COMPOUNDS, VEHICLE, Compound, Condition, condition
from hcs.simulate.settings import SimulationSettings
from hcs.simulate.streams import plate_rng

CHANNELS: Final = ("DNA", "CDK2")
"""Channels of a simulated field: the DNA stain and the translocating CDK2 sensor, in movies also another."""

TOP_DOSE_UM: Final = 10.0
DILUTION: Final = 3.0
_LIVE_CONTROLS: Final = 4
_FORMATS: Final = ((2, 3), (3, 4), (4, 6), (6, 8), (8, 12), (16, 24), (32, 48))

Role = Literal["negative", "positive", "sample", "empty"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatment:
    """What one well holds; ``seeding`` is relative to the usual number of cells."""

    role: Role
    compound: Compound | None
    dose_um: float
    seeding: float = 1.0

    @property
    def condition(self) -> Condition:
        """State of the well's cells; an empty well has density 0."""
        return condition(self.compound or VEHICLE, self.dose_um, seeding=self.seeding)


_EMPTY: Final = Treatment(role="empty", compound=None, dose_um=0.0, seeding=0.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SimulatedPlate:
    """A planned plate: no pixels yet, only what each well holds. Wells are in plate order."""

    settings: SimulationSettings
    wells: tuple[WellId, ...]
    treatments: tuple[Treatment, ...]
    """One for each of `wells`, in the same order."""

    @property
    def channels(self) -> tuple[str, str]:
        """The DNA stain and the sensor."""
        return (CHANNELS[0], self.settings.sensor)

    @property
    def keys(self) -> tuple[FieldKey, ...]:
        """All fields, well by well."""
        return tuple(FieldKey(well, field) for well in self.wells for field in range(self.settings.fields))

    @property
    def crowded(self) -> tuple[WellId, ...]:
        """Wells seeded with more cells than usual; the plate map does not tell them."""
        return tuple(w for w, t in zip(self.wells, self.treatments, strict=True) if t.seeding > 1)

    @property
    def plate_map(self) -> pd.DataFrame:
        """One row a well, in plate order: well, role, compound ("" if empty), dose (NaN if empty), unit."""
        empty = [t.compound is None for t in self.treatments]
        return pd.DataFrame(
            {
                "well": [str(well) for well in self.wells],
                "role": [str(t.role) for t in self.treatments],
                "compound": [t.compound.name if t.compound else "" for t in self.treatments],
                "dose": np.where(empty, np.nan, [t.dose_um for t in self.treatments]),
                "unit": ["" if gap else "uM" for gap in empty],
            }
        )

    def treatment(self, well: WellId) -> Treatment:
        """What a well holds; PlateError if the plate has no such well."""
        if well not in self.wells:
            raise PlateError(
                f"well {well} is not on this simulated plate; ask for one of its {len(self.wells)} wells,"
                f" {self.wells[0]} to {self.wells[-1]}"
            )
        return self.treatments[self.wells.index(well)]


def lay_out_plate(settings: SimulationSettings) -> SimulatedPlate:
    """Lay out controls, compounds x doses, empty wells and one crowded well on a plate.

    A twelfth of the wells is negative, a twelfth positive (at least one each, two from 12 wells up); they
    alternate in the outermost columns. Compounds and doses are randomised over the remaining wells, so that
    dose and position are not confounded. One well is empty from 6 wells up, two from 24; one well of the
    inactive compound is crowded from 8 wells up. A plate of one well is one negative control. A plate of movies has
    compounds of its own (`LIVE_COMPOUNDS`), at least four wells of each control from 24 wells up, and none crowded.
    """
    wells = plate_wells(settings.wells)
    is_movie = settings.frames > 1
    negative, positive = _controls(wells, least=_LIVE_CONTROLS if is_movie else 2)
    chosen = dict.fromkeys(negative, Treatment(role="negative", compound=VEHICLE, dose_um=0.0))
    chosen |= dict.fromkeys(positive, Treatment(role="positive", compound=COMPOUNDS[0], dose_um=TOP_DOSE_UM))
    free = [well for well in wells if well not in chosen]
    order = plate_rng(settings.seed).permutation(len(free))
    samples = _live_samples(len(free), settings) if is_movie else _samples(len(free), settings)
    chosen |= {free[place]: sample for place, sample in zip(order, samples, strict=True)}
    return SimulatedPlate(settings=settings, wells=wells, treatments=tuple(chosen[well] for well in wells))


def plate_wells(number: int) -> tuple[WellId, ...]:
    """The first `number` wells, row by row, of the smallest standard plate that holds them (up to 1536)."""
    columns = next(columns for rows, columns in _FORMATS if rows * columns >= number)
    return tuple(WellId(index // columns, index % columns) for index in range(number))


def doses_um(number: int) -> tuple[float, ...]:
    """A dilution series from the top dose down, in uM."""
    return tuple(TOP_DOSE_UM / DILUTION**step for step in range(number))


def _controls(wells: tuple[WellId, ...], *, least: int) -> tuple[list[WellId], list[WellId]]:
    """Negative and positive wells, alternating in columns 1, last, 2, last but one, ...

    Every second column runs upwards, so that both roles sit on every edge.
    """
    each = max(least if len(wells) >= 24 else 2 if len(wells) >= 12 else 1, round(len(wells) / 12))
    columns = sorted({well.column for well in wells})
    outside_in = [column for pair in zip(columns, reversed(columns), strict=True) for column in pair]
    rank = {column: place for place, column in reversed(list(enumerate(outside_in)))}
    ordered = sorted(wells, key=lambda w: (rank[w.column], w.row if rank[w.column] % 2 == 0 else -w.row))
    return ordered[0 : 2 * each : 2], ordered[1 : 2 * each : 2]


def _live_samples(number: int, settings: SimulationSettings) -> list[Treatment]:
    """Treatments of a plate of movies: an empty well from 24 up, all doses of the compound that slows the cycle, then
    the other compounds dose by dose, over and over."""
    series = doses_um(settings.doses)
    first, *others = LIVE_COMPOUNDS
    grid = [Treatment(role="sample", compound=first, dose_um=dose) for dose in series]
    grid += [Treatment(role="sample", compound=compound, dose_um=dose) for dose in series for compound in others]
    empty = [_EMPTY] * (settings.wells >= 24)
    return (empty + [grid[index % len(grid)] for index in range(number)])[:number]


def _samples(number: int, settings: SimulationSettings) -> list[Treatment]:
    """Treatments of the wells that are no controls: empty wells, the crowded one, then compounds by dose."""
    empty = 0 if settings.wells < 6 else 1 if settings.wells < 24 else 2
    crowded = 1 if settings.wells >= 8 else 0
    inactive = COMPOUNDS[-1]
    special = [_EMPTY] * empty + [
        Treatment(role="sample", compound=inactive, dose_um=TOP_DOSE_UM, seeding=settings.crowding)
    ] * crowded
    series = doses_um(settings.doses)
    grid = [Treatment(role="sample", compound=compound, dose_um=dose) for dose in series for compound in COMPOUNDS]
    return (special + [grid[index % len(grid)] for index in range(number)])[:number]
