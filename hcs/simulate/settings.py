"""Settings of a simulated plate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from hcs.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationSettings:
    """One simulated plate; the same settings give the same pixels. Impossible values raise ConfigError."""

    wells: int = 96
    """Wells; a number that is no plate format fills the next larger one row by row. At most 1536."""
    fields: int = 1
    """Fields a well."""
    size_px: int = 512
    """Side of the square fields."""
    seed: int = 0
    """Seed of everything random; each field has its own stream, so the order of fields does not matter."""
    nucleus_diameter_px: float = 24.0
    """Mean diameter of a 2N nucleus."""
    density: float = 400.0
    """Nuclei per megapixel in untreated wells (400 is about 105 in a field of 512 x 512)."""
    clustering: float = 0.25
    """Share of cells that settle against another cell, so that the nuclei touch."""
    crowding: float = 1.8
    """Density of the crowded well relative to the others."""
    doses: int = 8
    """Doses of each compound, threefold apart, from 10 uM down."""
    pixel_size_um: float = 0.65
    """Pixel size written with the plate; 0.65 is a 10x objective on a 6.5 um camera."""
    bit_depth: Literal[12, 16] = 16
    """Bits of the camera; pixels are stored as uint16 either way and clip at the largest value."""
    dna_counts: float = 1200.0
    """Mean signal of a 2N nucleus in the DNA channel, in counts above background."""
    sensor_counts: float = 900.0
    """Mean signal of the sensor over nucleus and cytoplasm of a typical cell, in counts above background."""
    background_counts: float = 120.0
    """Fluorescent background of medium and plastic, in counts."""
    camera_offset_counts: float = 100.0
    """Counts of a dark pixel."""
    electrons_per_count: float = 1.0
    """Camera gain; fewer electrons a count mean more shot noise."""
    read_noise_electrons: float = 3.0
    """Standard deviation of the camera's read noise."""
    staining_cv: float = 0.05
    """Coefficient of variation of the DNA stain from nucleus to nucleus at equal DNA content."""
    shading: float = 0.15
    """Loss of light from the brightest point of a field to the farthest corner."""
    psf_sigma_px: float = 1.0
    """Gaussian blur of the objective."""
    debris: float = 12.0
    """Small bright specks per megapixel."""
    cells: Literal["even", "uneven"] = "even"
    """``even`` cells part half-way between their nuclei and are evenly bright; ``uneven`` ones part anywhere, overlap,
    and fade towards edges that their nuclei do not tell. Nuclei are the same either way."""
    frames: int = 1
    """Time points of every field; with more than one, cells move, grow, divide, die, enter and leave."""
    interval_min: float = 20.0
    """Minutes from one frame to the next."""
    cycle_h: float = 12.0
    """Mean length of the cell cycle of untreated cells, from one division to the next, h."""
    speed_um_h: float = 8.0
    """Root mean square speed of cells, um an hour."""
    sensor: Literal["CDK2", "KTR", "LEXY"] = "CDK2"
    """What the sensor of a movie follows: the phase of the cell cycle (CDK2), a stimulus (KTR), or light (LEXY)."""
    stimulus_min: float = 120.0
    """When the stimulus, or the light, comes."""
    light_ratio: float = 1.7
    """Sensor ratio that light drives LEXY towards; at 1 nuclei are as bright as their cytoplasm, and cannot be seen."""
    bleaching: float = 0.0
    """Share of the light that fluorophores lose from frame to frame."""
    drift_px: float = 0.0
    """Standard deviation of the stage's step from frame to frame, px."""
    dead_brightness: tuple[float, float] | None = None
    """Lowest and highest brightness, relative to a usual 2N nucleus, of the cells that a compound killed, with a halo
    and fragments around them; None gives dead cells no more stain than their DNA takes up. Living cells are the same
    either way, pixel by pixel up to the light added."""
    dead_halo: float = 0.15
    """Light of a bright dead cell that spreads over its surroundings, as a share of the cell's own."""
    dead_fragments: float = 2.0
    """Bright fragments around each bright dead cell, on average."""

    def __post_init__(self) -> None:
        for name, good, rule in self._rules():
            if not good:
                raise ConfigError(f"simulate.{name} is {getattr(self, name)!r}; it must {rule}")

    @property
    def nucleus_area_px(self) -> float:
        """Mean area of a 2N nucleus, in pixels."""
        return math.pi / 4 * self.nucleus_diameter_px**2

    @property
    def densest(self) -> float:
        """Largest `density`, in nuclei per megapixel, at which the crowded well has room for its nuclei."""
        return 0.45e6 / self.nucleus_area_px / self.crowding

    @property
    def full_scale(self) -> int:
        """Largest value the camera can give, in counts."""
        return int(2**self.bit_depth - 1)

    def _rules(self) -> tuple[tuple[str, bool, str], ...]:
        return (*self._rules_of_cells(), *self._rules_of_optics(), *self._rules_of_time())

    def _rules_of_time(self) -> tuple[tuple[str, bool, str], ...]:
        return (
            ("frames", 1 <= self.frames <= 5000, "lie between 1 and 5000"),
            ("interval_min", 0 < self.interval_min <= 1440, "be above 0 and at most a day"),
            ("cycle_h", 2 <= self.cycle_h <= 200, "lie between 2 and 200"),
            ("speed_um_h", 0 <= self.speed_um_h <= 500, "lie between 0 and 500"),
            ("sensor", self.sensor in ("CDK2", "KTR", "LEXY"), "be CDK2, KTR or LEXY"),
            ("stimulus_min", self.stimulus_min >= 0, "be 0 or more"),
            ("light_ratio", 0.5 < self.light_ratio <= 5, "be above 0.5, the ratio in the dark, and at most 5"),
            ("bleaching", 0 <= self.bleaching < 0.5, "be 0 or more and below 0.5"),
            ("drift_px", 0 <= self.drift_px <= 10, "lie between 0 and 10"),
            ("cells", self.cells in ("even", "uneven"), "be even or uneven"),
            ("cells", self.frames == 1 or self.cells == "even", "be even in movies"),
            ("dead_brightness", self.frames == 1 or self.dead_brightness is None, "be None in movies"),
        )

    def _rules_of_cells(self) -> tuple[tuple[str, bool, str], ...]:
        sane = 8 <= self.nucleus_diameter_px <= 200 and 1 <= self.crowding <= 4
        densest = self.densest if sane else 0.0
        room = f"lie between 0 and {densest:.0f} for nuclei of this size to find room in the crowded well"
        return (
            ("wells", 1 <= self.wells <= 1536, "lie between 1 and 1536"),
            ("fields", self.fields >= 1, "be at least 1"),
            ("size_px", 64 <= self.size_px <= 16384, "lie between 64 and 16384"),
            ("seed", 0 <= self.seed < 2**32, "be 0 or more and below 2**32"),
            ("nucleus_diameter_px", 8 <= self.nucleus_diameter_px <= 200, "lie between 8 and 200"),
            ("crowding", 1 <= self.crowding <= 4, "lie between 1 and 4"),
            ("density", 0 <= self.density <= densest, room),
            ("clustering", 0 <= self.clustering <= 1, "lie between 0 and 1"),
            ("doses", 1 <= self.doses <= 24, "lie between 1 and 24"),
            ("staining_cv", 0 <= self.staining_cv <= 0.5, "lie between 0 and 0.5"),
        )

    def _rules_of_optics(self) -> tuple[tuple[str, bool, str], ...]:
        counts = ("dna_counts", "sensor_counts", "background_counts", "camera_offset_counts")
        return (
            ("pixel_size_um", self.pixel_size_um > 0, "be above 0"),
            ("bit_depth", self.bit_depth in (12, 16), "be 12 or 16"),
            *(
                (name, 0 <= getattr(self, name) < self.full_scale, "be 0 or more and below full scale")
                for name in counts
            ),
            ("electrons_per_count", self.electrons_per_count > 0, "be above 0"),
            ("read_noise_electrons", self.read_noise_electrons >= 0, "be 0 or more"),
            ("shading", 0 <= self.shading <= 0.9, "lie between 0 and 0.9"),
            ("psf_sigma_px", 0 <= self.psf_sigma_px <= 10, "lie between 0 and 10"),
            ("debris", self.debris >= 0, "be 0 or more"),
            *self._rules_of_death(),
        )

    def _rules_of_death(self) -> tuple[tuple[str, bool, str], ...]:
        bright = self.dead_brightness
        good = bright is None or 1 < bright[0] <= bright[1]
        return (
            ("dead_brightness", good, "be None, or two numbers above 1 of which the second is no less than the first"),
            ("dead_halo", 0 <= self.dead_halo <= 1, "lie between 0 and 1"),
            ("dead_fragments", self.dead_fragments >= 0, "be 0 or more"),
        )
