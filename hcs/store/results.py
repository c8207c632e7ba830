"""A results folder as an object: tables as pandas, labels and images as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from numpy.typing import NDArray

from hcs.errors import ResultsError
from hcs.plate.keys import FieldKey, WellId
from hcs.store.atomic import read_json
from hcs.store.labels import read_labels
from hcs.store.ledger import ledger_frame, read_ledger
from hcs.store.plate import open_plate, read_field
from hcs.store.table import read_frame, read_nuclei

if TYPE_CHECKING:
    import pyarrow.dataset as ds

DNA_CONTENT_N = "Nuclei_DNA_ContentN"
_CONTENT = "Nuclei_DNA_Content"


@dataclass(frozen=True, slots=True)
class Results:
    """The results of one run; nothing is read before it is asked for."""

    folder: Path
    record: dict[str, Any]
    """``run.json``: configuration, plate, model, versions, machine, times."""

    def nuclei(
        self,
        *,
        wells: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
        where: ds.Expression | None = None,
    ) -> pd.DataFrame:
        """The nucleus table, all of it or some wells (``["B03"]``), columns, and rows for which ``where`` holds.

        Beside the columns on disk there is ``Nuclei_DNA_ContentN``, the DNA content in units of N: it needs the plate's
        2N peak, which is known only when all fields are measured. NaN where the plate has no usable peak.
        """
        if columns is not None and DNA_CONTENT_N not in columns:
            return read_nuclei(self.folder, wells=wells, columns=columns, where=where)
        stored = None if columns is None else [*dict.fromkeys([c for c in columns if c != DNA_CONTENT_N] + [_CONTENT])]
        table = read_nuclei(self.folder, wells=wells, columns=stored, where=where)
        table[DNA_CONTENT_N] = 2.0 * table[_CONTENT] / self._two_n()
        return table if columns is None else table[list(columns)]

    def _two_n(self) -> float:
        """DNA content of the plate's 2N peak; NaN where it is not usable or the readouts were not made yet."""
        path = self.folder / "plate.parquet"
        if not path.exists():
            return float("nan")
        peak = read_frame(path)[["DNA_TwoN", "DNA_Usable"]].head(1)
        return float(peak["DNA_TwoN"].iloc[0]) if len(peak) and peak["DNA_Usable"].iloc[0] else float("nan")

    def wells(self) -> pd.DataFrame:
        """One row per expected well: status, counts, feature means and medians, cell-cycle fractions."""
        return read_frame(self.folder / "wells.parquet")

    def compounds(self) -> pd.DataFrame:
        """One row per readout, compound and dose: Z′, robust Z′ and SSMD against negatives."""
        return read_frame(self.folder / "compounds.parquet")

    def plate(self) -> pd.DataFrame:
        """One row per readout and group of controls: the assay's Z′, and the plate's DNA peak."""
        return read_frame(self.folder / "plate.parquet")

    def fields(self) -> pd.DataFrame:
        """One row per expected field, from the ledger as it is now: status, reason, nuclei, backgrounds, seconds."""
        return ledger_frame(read_ledger(self.folder, self.keys()))

    def columns(self) -> pd.DataFrame:
        """The column dictionary: table, name, type, unit, definition, source."""
        return pd.read_csv(self.folder / "columns.csv", keep_default_na=False)

    def keys(self) -> tuple[FieldKey, ...]:
        """Every field the run expects."""
        return tuple(FieldKey.parse(text) for text in self.record["fields"])

    def labels(self, well: str, field: int = 0) -> NDArray[Any]:
        """Nucleus labels (Y, X) of one field, from where the run wrote them."""
        target = self.record["identity"]["labels"]
        if target == "none":
            raise ResultsError(f"{self.folder} was made with --labels none; run again with --labels out to keep labels")
        store = self.folder / "labels.zarr" if target == "out" else Path(self.record["plate_path"])
        return read_labels(str(store), FieldKey(WellId.parse(well), field))

    def image(self, well: str, field: int = 0, channel: int = 0) -> NDArray[Any]:
        """One channel (Y, X) of one field, from the plate."""
        plate = open_plate(self.record["plate_path"])
        z = self.record["identity"]["config"]["z"]
        image: NDArray[Any] = read_field(plate, FieldKey(WellId.parse(well), field), channels=(channel,), z=z)[0]
        return image


def open_results(folder: str | Path) -> Results:
    """The results of ``hcs run … --out folder``; ResultsError where it is not such a folder."""
    path = Path(folder)
    if not (path / "run.json").is_file():
        raise ResultsError(f"{path} holds no run.json; give the --out folder of an `hcs run`")
    return Results(path, read_json(path / "run.json"))
