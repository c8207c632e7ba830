"""Which channel of a plate is which.

Alone in a file because the store, the pipeline and the run all name channels this way.
"""

from __future__ import annotations

from dataclasses import dataclass

NUCLEI_CHANNEL = "Metadata_NucleiChannel"


@dataclass(frozen=True, slots=True)
class Channels:
    """Channels of a plate by 0-based index, with their names; ``dna`` and ``sensor`` may be absent, not both."""

    names: tuple[str, ...]
    dna: int | None
    sensor: int | None
    nuclei: int
    cells: int | None = None
    """Channel in which nuclei are grown to whole cells; None: they are not."""

    @property
    def dna_name(self) -> str | None:
        """Name of the DNA channel; None without one."""
        return None if self.dna is None else self.names[self.dna]

    @property
    def sensor_name(self) -> str | None:
        """Name of the sensor channel; None without one."""
        return None if self.sensor is None else self.names[self.sensor]

    @property
    def cells_name(self) -> str | None:
        """Name of the channel in which whole cells are grown; None without."""
        return None if self.cells is None else self.names[self.cells]

    @property
    def by_sensor(self) -> bool:
        """Whether nuclei are found in the sensor channel."""
        return self.sensor is not None and self.nuclei == self.sensor

    @property
    def texts(self) -> dict[str, str]:
        """What every row of the nucleus table says of channels: in which nuclei were found, where not as usual."""
        return {NUCLEI_CHANNEL: self.names[self.nuclei]} if self.by_sensor else {}
