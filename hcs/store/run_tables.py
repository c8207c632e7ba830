"""The small tables of a results folder, and what the run expected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import Self

import pandas as pd

from hcs.errors import ResultsError
from hcs.plate.keys import FieldKey, WellId
from hcs.store.ledger import LedgerEntry, ledger_frame, read_ledger
from hcs.store.location import Location
from hcs.store.readout_record import COLUMNS, ReadoutRecord
from hcs.store.record import RunRecord
from hcs.store.table import frame_of

TABLES = (
    *("wells", "compounds", "plate", "fields", "quality", "cycles", "sensor"),
    *("assay", "attribution", "discriminant", "doses", "scores", "hits", "toxicity", "dead"),
)
"""Readout tables, each a Parquet file of the results folder."""


@dataclass(frozen=True, slots=True, repr=False)
class RunTables:
    """The folder and record of one run: its readout tables, its fields and wells."""

    folder: Location
    record: RunRecord
    """``run.json``: configuration, plate, model, versions, machine, times."""
    seen: tuple[LedgerEntry, ...] | None = field(default=None, kw_only=True)
    """All entries as they were at one moment, so that what is made of them agrees; None takes them as they are."""

    def __repr__(self) -> str:
        name, wells = self.record.plate, self.well_names()
        return f"<Results {str(self.folder)!r}: plate {name!r}, {len(wells)} wells, {len(self.record.keys)} fields>"

    def well_names(self) -> tuple[str, ...]:
        """Every well that the run expects, in plate order: ``("A01", "A02", …)``."""
        return tuple(map(str, sorted({key.well for key in self.record.keys})))

    def wells(self) -> pd.DataFrame:
        """One row per expected well: status, counts, feature means and medians, cell-cycle fractions."""
        return self.table("wells")

    def compounds(self) -> pd.DataFrame:
        """One row per readout, compound and dose: Z′, robust Z′ and SSMD against negatives."""
        return self.table("compounds")

    def plate(self) -> pd.DataFrame:
        """One row per readout and group of controls: the assay's Z′, and the plate's DNA peak."""
        return self.table("plate")

    def assay(self) -> pd.DataFrame:
        """One row per numeric well readout and group of controls: Z′ family, SSMD, signal window, rank."""
        return self.table("assay")

    def attribution(self) -> pd.DataFrame:
        """One row per readout, group and cause: what holds Z′ down, and the Z′ without it."""
        return self.table("attribution")

    def discriminant(self) -> pd.DataFrame:
        """One row per group of controls: Z′ of the readouts taken together, cross-validated by well."""
        return self.table("discriminant")

    def doses(self) -> pd.DataFrame:
        """One row per readout, compound and group: EC50 with its interval, or the reason why there is none."""
        return self.table("doses")

    def scores(self) -> pd.DataFrame:
        """One row per well and readout: percent of control, robust z, corrected value, q-value, hit."""
        return self.table("scores")

    def hits(self) -> pd.DataFrame:
        """One row per compound, dose and readout: effect, q-value, hit."""
        return self.table("hits")

    def toxicity(self) -> pd.DataFrame:
        """One row per compound and dose: living nuclei relative to the negatives', p-value, toxic."""
        return self.table("toxicity")

    def dead(self) -> pd.DataFrame:
        """One row per plate: what living nuclei look like, and the limits from which a nucleus is a dead cell."""
        return self.table("dead")

    def sensor(self) -> pd.DataFrame:
        """One row per plate: the threshold between sensor-low and sensor-high nuclei, fixed and by mixture."""
        return self.table("sensor")

    def quality(self) -> pd.DataFrame:
        """One row per measure of image quality: thresholds beyond which fields are flagged, learned from the plate."""
        return self.table("quality")

    def cycles(self) -> pd.DataFrame:
        """One row per well (empty: the plate) and model: cell-cycle fractions, or why there are none."""
        return self.table("cycles")

    def fields(self) -> pd.DataFrame:
        """One row per expected field: status, reason, nuclei, image quality and flags, as the last readout left it."""
        return self.table("fields")

    def ledger(self) -> pd.DataFrame:
        """One row per expected field as it is now, also while the run goes on: status, reason, nuclei, seconds."""
        return ledger_frame(self.entries())

    def entries(self, keys: Sequence[FieldKey] | None = None) -> tuple[LedgerEntry, ...]:
        """Entries of all expected fields, or some, as they are now, or were when ``seen``."""
        wanted = self.record.keys if keys is None else keys
        if self.seen is None:
            return read_ledger(self.folder, wanted, self.record.run_id)
        by_name = {entry.field: entry for entry in self.seen}
        return tuple(by_name[str(key)] for key in wanted)

    def as_of_now(self) -> Self:
        """The same results with the ledger as it is now: what is entered later is left out."""
        return replace(self, seen=self.entries())

    def counted(self) -> frozenset[str]:
        """Fields that had a result when the readouts were last made, such as ``B03/0``; none where that is not
        known."""
        try:
            readouts = self.readouts()
        except ResultsError:
            return frozenset()
        return frozenset() if readouts is None else frozenset(readouts.done)

    def table(self, name: str) -> pd.DataFrame:
        """The readout table ``NAME.parquet`` of the folder, one of TABLES; ResultsError where it is not there."""
        if name not in TABLES:
            raise ResultsError(f"{name!r} is no readout table; there are {', '.join(TABLES)}")
        return frame_of(self._content(f"{name}.parquet"))

    def columns(self) -> pd.DataFrame:
        """The column dictionary: table, name, type, unit, definition, source."""
        return pd.read_csv(BytesIO(self._content(COLUMNS)), keep_default_na=False)

    def keys(self) -> tuple[FieldKey, ...]:
        """Every field the run expects."""
        return self.record.keys

    def known_wells(self, wells: str | Sequence[str] | None) -> list[str] | None:
        """Wells as the run names them, None for all; ResultsError for one that it does not have."""
        if wells is None:
            return None
        names = [str(WellId.parse(well)) for well in ([wells] if isinstance(wells, str) else wells)]
        expected = self.well_names()
        unknown = [name for name in names if name not in expected]
        if unknown:
            has = f"it has {len(expected)}, {expected[0]} to {expected[-1]}" if expected else "it has none"
            raise ResultsError(f"{self.folder} has no well {', '.join(unknown)}; {has}")
        return names

    def known_field(self, well: str, field: int) -> FieldKey:
        """A field of the run; ResultsError where it has no such well or field."""
        self.known_wells(well)
        key = FieldKey(WellId.parse(well), field)
        if key not in self.record.keys:
            numbers = [str(other.field) for other in self.keys() if other.well == key.well]
            raise ResultsError(f"{self.folder} has no field {key}; well {key.well} has {', '.join(numbers)}")
        return key

    def has(self, name: str) -> bool:
        """Whether the readouts as they were last made have the table ``name``."""
        readouts = self.readouts()
        return readouts is not None and f"{name}.parquet" in readouts.files

    def readouts(self) -> ReadoutRecord | None:
        """Settings, notes and files of the readouts as they were last made; None where they never were."""
        return ReadoutRecord.read(self.folder, self.record.run_id)

    def _content(self, name: str) -> bytes:
        """A file of the readouts, as it was written."""
        readouts = self.readouts()
        if readouts is None or name not in readouts.files:
            raise self._missing(name)
        return readouts.content(self.folder, name)

    def _missing(self, name: str) -> ResultsError:
        return ResultsError(f"{self.folder} has no {name}; run `hcs readout {self.folder}` to make it")
