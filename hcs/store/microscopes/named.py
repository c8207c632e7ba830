"""Vendors whose folders tell all by the names of files: one pattern each, and what else their TIFFs say.

Cellomics and ArrayScan, Harmony without its index, CellVoyager without its .mlf file, and data sets hcs is tested on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from hcs.store.microscopes.folder import Folder
from hcs.store.microscopes.pattern import read_pattern
from hcs.store.microscopes.table import Channel, PlaneTable

_WELL = r"(?P<well>[A-Z]\d{1,2}|A[A-F]\d{1,2})"


@dataclass(frozen=True, slots=True)
class Names:
    """How files are called; ``channels`` names what the group ``channel`` finds."""

    title: str
    pattern: re.Pattern[str]
    channels: tuple[tuple[str, str], ...] = ()

    def files(self, folder: Folder) -> tuple[str, ...]:
        """The images that are called so."""
        return tuple(name for name in folder.images if self.pattern.search(name))

    def read(self, folder: Folder, plate_format: int | None) -> PlaneTable:
        """The planes that the names tell; PlateError as `read_pattern` raises."""
        channels = {key: Channel(name) for key, name in self.channels}
        return read_pattern(folder, self.pattern, plate_format=plate_format, title=self.title, channels=channels)


CELLOMICS = Names(
    "Cellomics, ArrayScan (names)",
    re.compile(rf"(?:^|[/_]){_WELL}f(?P<field>\d{{1,3}})d(?P<channel>\d{{1,2}})\.tiff?$", re.IGNORECASE),
)
HARMONY = Names(
    "Opera Phenix or Operetta, names without Harmony's index",
    re.compile(
        r"(?:^|/)r(?P<row>\d\d)c(?P<column>\d\d)f(?P<field>\d+)(?:p(?P<z>\d+))?-ch(?P<channel>\d+)"
        r"(?:t(?P<time>\d+)|sk(?P<t>\d+)(?:fk\d+)?(?:fl\d+)?)?\.tiff?$",
        re.IGNORECASE,
    ),
)
OPERETTA = Names(
    "Operetta or Columbus, names without index",
    re.compile(
        r"(?:^|/)0(?P<row>\d\d)0(?P<column>\d\d)-(?P<field>\d+)-(?P<z>\d{3})(?P<t>\d{3})(?P<channel>\d{3})\.tiff?$",
        re.IGNORECASE,
    ),
)
YOKOGAWA = Names(
    "Yokogawa CellVoyager, names without .mlf file",
    re.compile(
        rf"_{_WELL}_T(?P<t>\d{{4}})F(?P<field>\d{{3,4}})L\d\dA\d\dZ(?P<z>\d\d+)C(?P<channel>\d\d?)\.(?:tiff?|png)$",
        re.IGNORECASE,
    ),
)
YOKOGAWA_CQ1 = Names(
    "Yokogawa CQ1 or CQ3000, names without .mlf file",
    re.compile(
        r"(?:^|/)W(?P<well>\d{4})F(?P<field>\d{4})T(?P<t>\d{4})Z(?P<z>\d{3})C(?P<channel>\d{1,2})\.tiff?$",
        re.IGNORECASE,
    ),
)
BBBC013 = Names(
    "BBBC013 (names)",
    re.compile(r"(?:^|/)Channel(?P<channel>[12])-\d\d-(?P<row>[A-H])-(?P<column>\d\d)\.tiff?$"),
    (("1", "GFP"), ("2", "DNA")),  # Channel1 is the FKHR-EGFP sensor, Channel2 the DNA stain
)
