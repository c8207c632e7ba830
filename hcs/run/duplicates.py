"""Nuclei of a run that two overlapping fields show, found from the plate's metadata and the nucleus table."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from hcs.errors import HcsError
from hcs.plate.keys import FieldKey, WellId
from hcs.readout.settings import ReadoutSettings
from hcs.readout.wells.duplicates import NEEDED, Placed, find_duplicates, without
from hcs.readout.wells.twins import NEEDED as NEEDED_FOR_TWINS
from hcs.readout.wells.twins import Twin, twins_by_nuclei, twins_by_pixels
from hcs.store.location import location, map_at
from hcs.store.plate.reader import open_plate, read_info
from hcs.store.results.folder import Results

NONE = find_duplicates(pd.DataFrame(columns=list(NEEDED)), {})


@dataclass(frozen=True, slots=True, eq=False)
class SeenTwice:
    """What is left out of the readouts: ``table`` with `hcs.readout.wells.duplicates.DUPLICATE_COLUMNS`, and
    sentences on it."""

    wanted: bool
    table: pd.DataFrame
    notes: tuple[str, ...] = ()

    def without(self, nuclei: pd.DataFrame) -> pd.DataFrame:
        """``nuclei`` that count."""
        return without(nuclei, self.table)

    def counted(self, wells: pd.DataFrame) -> pd.DataFrame:
        """The well table with Count_Duplicates, where duplicates were looked for."""
        if not self.wanted:
            return wells
        counts = self.table["Metadata_Well"].value_counts().reindex(wells["Metadata_Well"]).fillna(0).astype("int64")
        place = list(wells.columns).index("Count_Nuclei") + 1
        counted = wells.copy()
        counted.insert(place, "Count_Duplicates", counts.to_numpy())
        return counted


def find_seen_twice(results: Results, used: pd.DataFrame, settings: ReadoutSettings) -> SeenTwice:
    """Duplicates among the fields that are ``used`` (rows of the field table), well by well; none where the settings do
    not ask for it. A note says how many, or why none can be found."""
    if not settings.drop_duplicates:
        return SeenTwice(wanted=False, table=NONE)
    fields = used[used["Status"] == "ok"]
    keys = [
        FieldKey(WellId.parse(str(well)), int(site))
        for well, site in zip(fields["Metadata_Well"], fields["Metadata_Site"], strict=True)
    ]
    try:
        places = _places(results.plate_path, keys)
    except HcsError as error:
        return SeenTwice(True, NONE, (f"Nuclei in two fields cannot be told: {error}.",))
    if not places:
        why = "the plate's metadata give no positions of fields (translations with a unit, and a pixel size)"
        return SeenTwice(True, NONE, (f"Nuclei in two fields cannot be told: {why}.",))
    tables = [
        find_duplicates(nuclei.reset_index(drop=True), places)
        for _, nuclei in results.parts(sorted({well for well, _ in places})).by_well(list(NEEDED))
    ]
    found = pd.concat([NONE, *(table for table in tables if len(table))], ignore_index=True).astype(NONE.dtypes)
    note = f"{len(found):,} nuclei that another field shows too are left out; duplicates.parquet lists them."
    return SeenTwice(True, found, (note,))


def find_twins(results: Results, fields: pd.DataFrame) -> tuple[Twin, ...]:
    """Fields that show the same pixels as another, or nearly the same nuclei as another of their well; ``fields`` is
    the field table, in the ledger's order."""
    checksums = [entry.input_crc32 for entry in results.entries()]
    by_pixels = twins_by_pixels(fields, checksums)
    done = fields.loc[fields["Status"] == "ok", "Metadata_Well"].value_counts()
    several = sorted(str(well) for well in done.index[done > 1])
    if not several:
        return by_pixels
    known = {(twin.first, twin.second) for twin in by_pixels}
    by_nuclei = twins_by_nuclei(results.parts(several).by_well(list(NEEDED_FOR_TWINS)))
    return (*by_pixels, *(twin for twin in by_nuclei if (twin.first, twin.second) not in known))


def _places(plate_path: str, keys: list[FieldKey]) -> dict[tuple[str, int], Placed]:
    """Places of the fields whose position and pixel size are known."""
    plate = open_plate(plate_path)
    places = {}
    for key, info in zip(keys, map_at(location(plate_path), lambda key: read_info(plate, key), keys), strict=True):
        if info.origin_um is not None and info.pixel_size_um is not None:
            y, x = (value / info.pixel_size_um for value in info.origin_um)
            places[str(key.well), key.field] = Placed(origin_px=(y, x), shape=(info.shape[1], info.shape[2]))
    return places
