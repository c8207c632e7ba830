"""The lives of one field's cells: born, moving, replicating, dividing, dying, on a canvas without edges.

The canvas is wider than the field and closes on itself, so that cells leave the field and others enter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from hcs.simulate.compounds import VEHICLE
from hcs.simulate.nuclei import draw_waves
from hcs.simulate.plate import Treatment
from hcs.simulate.population import Floats, WellEffects
from hcs.simulate.settings import SimulationSettings

Class = Literal["inc", "emerging", "low"]

CLASSES: Final[tuple[Class, ...]] = ("inc", "emerging", "low")
"""What CDK2 activity does after mitosis (Spencer 2013): rises at once, rises late, stays low."""
_SHARES: Final = (0.6, 0.15, 0.25)
"""Of untreated newborn cells, in the order of CLASSES."""
_CYCLE_CV: Final = 0.12
_RISE_MIN: Final = (240.0, 480.0)
"""When the activity of an emerging cell rises, after its birth."""
MITOSIS_MIN: Final = 30.0
_DEATHS_PER_H: Final = 0.001
"""Of untreated cells."""
_REMAINS_MIN: Final = 240.0
"""How long a dead cell is seen before it is washed away."""
_PERSISTENCE_MIN: Final = 60.0
_ROOM: Final = 1.15
"""Nuclei keep so many of their own radii from each other."""
_RELAXATIONS: Final = 12


@dataclass(slots=True, eq=False)
class Cell:
    """One cell: what it was born with, and where it is."""

    number: int
    parent: int
    """Number of its mother; 0 for cells that were there at the beginning."""
    cycling: Class
    born_min: float
    """Below 0 for cells that were born before the movie."""
    rise_min: float
    """From birth until its cycle starts; infinite for a cell that stays low."""
    cycle_min: float
    """From then to its division."""
    dies_min: float
    size: float
    stain: float
    level: float
    ratio: float
    waves: NDArray[np.complex64]
    angle: float
    place: NDArray[np.float64]
    """Centre (y, x), px, on the canvas."""
    speed: NDArray[np.float64]
    """px a minute."""

    @property
    def divides_min(self) -> float:
        """When it divides; infinite if it never would."""
        return self.born_min + self.rise_min + self.cycle_min

    def progress(self, now_min: float) -> float:
        """How far it is in its cycle, 0 to 1."""
        return float(np.clip((now_min - self.born_min - self.rise_min) / self.cycle_min, 0.0, 1.0))

    def is_dead(self, now_min: float) -> bool:
        """Whether it has died."""
        return now_min >= self.dies_min

    def is_mitotic(self, now_min: float) -> bool:
        """Whether it is dividing."""
        return not self.is_dead(now_min) and now_min >= self.divides_min - MITOSIS_MIN


@dataclass(slots=True)
class Ended:
    """A cell that is gone, and when it divided or died; NaN for the other."""

    cell: Cell
    divided_min: float
    died_min: float


@dataclass(slots=True)
class Culture:
    """The cells of one field of one well from frame to frame."""

    settings: SimulationSettings
    treatment: Treatment
    effects: WellEffects
    rng: np.random.Generator
    side_px: int
    cells: list[Cell] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)
    _numbers: int = 0

    def frames(self) -> Iterator[tuple[int, list[Cell]]]:
        """Each frame and the cells that are there then, in the order of their numbers."""
        self._seed()
        for frame in range(self.settings.frames):
            if frame:
                self._advance(frame * self.settings.interval_min)
            yield frame, list(self.cells)

    def radius_px(self, cell: Cell, now_min: float) -> float:
        """Radius of a disc with the area of its nucleus."""
        return math.sqrt(self.area_px(cell, now_min) / math.pi)

    def area_px(self, cell: Cell, now_min: float) -> float:
        """Area of its nucleus: grows with its DNA, small right after division, in mitosis and in death."""
        if cell.is_dead(now_min):
            return self.settings.nucleus_area_px * cell.size * 0.45
        area = self.settings.nucleus_area_px * cell.size * (self.dna_n(cell, now_min) / 2) ** 0.75
        young = min(max((now_min - cell.born_min) / 40.0, 0.0), 1.0)
        return float(area * (0.72 + 0.28 * young) * (0.6 if cell.is_mitotic(now_min) else 1.0))

    def dna_n(self, cell: Cell, now_min: float) -> float:
        """DNA content: 2 N to 45 % of the cycle, then rising to 4 N at 80 %."""
        return 2.0 + 2.0 * float(np.clip((cell.progress(min(now_min, cell.dies_min)) - 0.45) / 0.35, 0.0, 1.0))

    def _strength(self) -> float:
        compound = self.treatment.compound or VEHICLE
        return compound.effect(self.treatment.dose_um)

    def _seed(self) -> None:
        settings = self.settings
        half_min = settings.frames * settings.interval_min / 2
        at_first = 0.5 ** (half_min / (60 * settings.cycle_h))  # the density is that of the middle of the movie
        expected = settings.density * self.treatment.seeding * self.effects.seeding * at_first * self.side_px**2 / 1e6
        for _ in range(int(self.rng.poisson(expected))):
            cell = self._born(0.0, 0, self.rng.uniform(0, self.side_px, 2), None)
            # ages of a population that doubles every cycle: many young, few old
            lived = -math.log2(1 - self.rng.random() / 2)
            whole = cell.cycle_min + (cell.rise_min if math.isfinite(cell.rise_min) else 0.0)
            cell.born_min = -lived * whole
            cell.dies_min = self._death(0.0)
        self._keep_apart(0.0)

    def _born(self, now_min: float, parent: int, place: NDArray[np.float64], mother: Cell | None) -> Cell:
        rng, settings, compound = self.rng, self.settings, self.treatment.compound or VEHICLE
        strength = self._strength()
        shares = np.array(_SHARES) * (1 - strength * compound.quiescence)
        shares[-1] += strength * compound.quiescence
        cycling = CLASSES[int(rng.choice(len(CLASSES), p=shares))]
        rise = {"inc": 0.0, "emerging": float(rng.uniform(*_RISE_MIN)), "low": math.inf}[cycling]
        cycle = 60 * settings.cycle_h * (1 + strength * compound.slowing) * math.exp(_CYCLE_CV * rng.standard_normal())
        self._numbers += 1
        cell = Cell(
            number=self._numbers,
            parent=parent,
            cycling=cycling,
            born_min=now_min,
            rise_min=rise,
            cycle_min=cycle,
            dies_min=self._death(now_min),
            size=math.exp(0.1 * rng.standard_normal()),
            stain=max(1 + settings.staining_cv * rng.standard_normal(), 0.1),
            level=mother.level if mother else settings.sensor_counts * math.exp(0.25 * rng.standard_normal() - 0.03),
            ratio=math.exp(0.04 * rng.standard_normal()),
            waves=draw_waves(rng),
            angle=float(rng.uniform(0, np.pi)),
            place=np.mod(place, self.side_px),
            speed=self._jostle(),
        )
        self.cells.append(cell)
        return cell

    def _death(self, now_min: float) -> float:
        compound = self.treatment.compound or VEHICLE
        per_h = _DEATHS_PER_H + self._strength() * compound.deaths_per_h
        return now_min + 60 * float(self.rng.exponential(1 / per_h))

    def _jostle(self) -> NDArray[np.float64]:
        per_min = self.settings.speed_um_h / self.settings.pixel_size_um / 60
        return np.asarray(self.rng.standard_normal(2) * per_min / math.sqrt(2))

    def _advance(self, now_min: float) -> None:
        """Move everything to a later frame; what happened between the frames happened at its own time."""
        step_min = self.settings.interval_min
        memory = math.exp(-step_min / _PERSISTENCE_MIN)
        for cell in self.cells:
            cell.speed = memory * cell.speed + math.sqrt(1 - memory**2) * self._jostle()
            still = 0.0 if cell.is_dead(now_min) else 0.3 if cell.is_mitotic(now_min) else 1.0
            cell.place = np.mod(cell.place + still * cell.speed * step_min, self.side_px)
            cell.angle += 0.1 * float(self.rng.standard_normal())
        for cell in list(self.cells):
            self._divide(cell, now_min)
        gone = [cell for cell in self.cells if now_min >= cell.dies_min + _REMAINS_MIN]
        self.ended += [Ended(cell, math.nan, cell.dies_min) for cell in gone]
        self.cells = [cell for cell in self.cells if now_min < cell.dies_min + _REMAINS_MIN]
        self._keep_apart(now_min)

    def _divide(self, cell: Cell, now_min: float) -> None:
        """Put two daughters in the place of a cell that has divided, and theirs if they have divided as well."""
        when = cell.divides_min
        if when > now_min or cell.dies_min <= when:
            return
        self.cells.remove(cell)
        self.ended.append(Ended(cell, when, math.nan))
        # A cell divides across the long axis of its metaphase plate.
        apart = 0.62 * self.settings.nucleus_diameter_px * cell.size**0.5
        across = np.array([np.cos(cell.angle), -np.sin(cell.angle)]) * apart / 2
        for sign in (1.0, -1.0):
            daughter = self._born(when, cell.number, cell.place + sign * across, cell)
            daughter.angle = cell.angle
            self._divide(daughter, now_min)

    def _keep_apart(self, now_min: float) -> None:
        """Push nuclei that overlap away from each other."""
        if len(self.cells) < 2:
            return
        places = np.stack([cell.place for cell in self.cells])
        radii = np.array([self.radius_px(cell, now_min) for cell in self.cells]) * _ROOM
        for _ in range(_RELAXATIONS):
            apart = places[:, None] - places[None]
            apart -= self.side_px * np.rint(apart / self.side_px)
            distance = np.hypot(apart[..., 0], apart[..., 1]) + np.eye(len(places)) * 1e9
            overlap = np.maximum(radii[:, None] + radii[None] - distance, 0.0)
            if not overlap.any():
                break
            places += (apart / np.maximum(distance, 1e-6)[..., None] * (0.5 * overlap)[..., None]).sum(axis=1)
        for cell, place in zip(self.cells, places, strict=True):
            cell.place = np.mod(place, self.side_px)


def sensor_ratios(culture: Culture, cells: list[Cell], now_min: float) -> Floats:
    """Sensor ratio of each cell (n,): its level in the cytoplasm over that in the nucleus."""
    settings, compound = culture.settings, culture.treatment.compound or VEHICLE
    sensors: dict[str, Callable[[Cell, float, float, float], float]] = {
        "CDK2": _cdk2,
        "KTR": _ktr,
        "LEXY": partial(_lexy, lit=settings.light_ratio),
    }
    of_cell = sensors[settings.sensor]
    inhibited = compound.effect(culture.treatment.dose_um) * compound.inhibition
    found = []
    for cell in cells:
        ratio = 1.0 if cell.is_dead(now_min) else of_cell(cell, now_min, settings.stimulus_min, inhibited)
        found.append(ratio * cell.ratio * culture.effects.ratio)
    return np.array(found, np.float64)


_AFTER_MITOSIS, _QUIESCENT, _BEFORE_MITOSIS = 0.6, 0.45, 1.6
_FALL_MIN = 30.0


def _cdk2(cell: Cell, now_min: float, _: float, inhibited: float) -> float:
    """Rises from mitosis to mitosis in a cell that cycles, and falls within an hour in one that does not."""
    age = now_min - cell.born_min
    if age < cell.rise_min:
        ratio = _QUIESCENT + (_AFTER_MITOSIS - _QUIESCENT) * math.exp(-age / _FALL_MIN)
    else:
        start = _AFTER_MITOSIS if cell.rise_min == 0 else _QUIESCENT
        ratio = start + (_BEFORE_MITOSIS - start) * cell.progress(now_min)
    return float(ratio * (_QUIESCENT / ratio) ** inhibited)


def _ktr(cell: Cell, now_min: float, stimulus_min: float, inhibited: float) -> float:
    """Leaves the nucleus within minutes of the stimulus, and comes back in part over hours."""
    base, since = 0.55, now_min - stimulus_min
    if since < 0:
        return base
    amplitude = 0.9 * cell.size * (1 - inhibited)
    return base + amplitude * (1 - math.exp(-since / 12.0)) * (0.3 + 0.7 * math.exp(-since / 180.0))


def _lexy(_: Cell, now_min: float, stimulus_min: float, inhibited: float, *, lit: float) -> float:
    """Leaves the nucleus while the light is on, for an hour, and returns when it is off."""
    on, off = now_min - stimulus_min, now_min - stimulus_min - 60.0
    if on < 0:
        return 0.5
    full = 1.0 - math.exp(-min(on, 60.0) / 10.0)
    return 0.5 + (lit - 0.5) * (1 - inhibited) * full * (math.exp(-off / 20.0) if off > 0 else 1.0)
