"""A results folder as an object: tables as pandas or pyarrow, labels, images and crops as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

import pandas as pd
import pyarrow.dataset as ds
from numpy.typing import NDArray

from hcs.errors import ResultsError
from hcs.plate.keys import FieldKey, WellId
from hcs.store.atomic import read_json
from hcs.store.crops import CENTER, KEYS, cut_crops, nucleus_key
from hcs.store.field import open_image, read_pixels
from hcs.store.labels import read_labels
from hcs.store.ledger import ledger_frame, read_ledger
from hcs.store.location import Location, location, within_reach
from hcs.store.parts import Where, expression, open_parts, read_by_well, read_parts, stored_columns
from hcs.store.plate import find_channel, locate
from hcs.store.table import read_frame

DNA_CONTENT_N = "Nuclei_DNA_ContentN"
_CONTENT = "Nuclei_DNA_Content"


@dataclass(frozen=True, slots=True)
class Results:
    """The results of one run; nothing is read before it is asked for."""

    folder: Location
    record: dict[str, Any]
    """``run.json``: configuration, plate, model, versions, machine, times."""

    def nuclei(
        self,
        *,
        wells: str | Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
        where: Where | None = None,
    ) -> pd.DataFrame:
        """The nucleus table, all of it or some wells (``["B03"]``), columns, and rows for which ``where`` holds.

        ``where`` is a list of conditions that must all hold, such as ``[("Nuclei_AreaShape_Area", ">", 80)]``, or a
        pyarrow expression. Beside the columns on disk there is ``Nuclei_DNA_ContentN``, the DNA content in units of N:
        it needs the plate's 2N peak, which is known only when all fields are measured. NaN where the plate has no
        usable peak.
        """
        computed = self._computed()
        return read_parts(
            self.folder / "nuclei", wells=wells, columns=columns, where=expression(where, computed), computed=computed
        )

    def stored_columns(self) -> tuple[str, ...]:
        """The columns of the nucleus table that are on disk, in their order."""
        return stored_columns(self.folder / "nuclei")

    def nuclei_by_well(
        self,
        columns: Sequence[str] | None = None,
        *,
        wells: str | Sequence[str] | None = None,
        where: Where | None = None,
        threads: int | None = None,
    ) -> Iterator[tuple[str, pd.DataFrame]]:
        """Each well that has been worked on and its nuclei, in plate order: a plate of any size in little memory.

        ``threads`` wells are read ahead while one is worked on, by default one for each core that pyarrow uses.
        """
        computed = self._computed()
        return read_by_well(
            self.folder / "nuclei",
            wells=wells,
            columns=columns,
            where=expression(where, computed),
            computed=computed,
            threads=threads,
        )

    def aggregate(
        self, columns: Sequence[str], *, by: str = "Metadata_Well", how: str = "mean", where: Where | None = None
    ) -> pd.DataFrame:
        """One row per value of ``by`` within each well: ``columns`` (numeric) summarised by a pandas aggregation, and
        Count_Nuclei.

        NaN is left out. Wells are read one by one, so that it takes little memory. The well table has the means and
        medians of all columns already; this is for other groups, filters and statistics.
        """
        keys = [*dict.fromkeys(["Metadata_Plate", "Metadata_Well", by])]
        groups = []
        for _, nuclei in self.nuclei_by_well([*dict.fromkeys([*keys, *columns])], where=where):
            grouped = nuclei.groupby(keys, observed=True)
            groups.append(grouped[list(columns)].agg(how).assign(Count_Nuclei=grouped.size()))
        return pd.concat(groups).reset_index()

    def dataset(self) -> ds.Dataset:
        """The nucleus table as a pyarrow dataset, which DuckDB, polars and pyarrow query without loading it.

        It has the columns on disk (not ``Nuclei_DNA_ContentN``) and the partition columns ``plate`` and ``well``;
        a filter on ``well`` leaves the parts of other wells unread.
        """
        return open_parts(self.folder / "nuclei")

    def phases(
        self,
        *,
        wells: str | Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
        where: Where | None = None,
    ) -> pd.DataFrame:
        """One row per nucleus: phase, its probabilities and gate; joins with ``nuclei()`` on the four Metadata keys."""
        folder = self.folder / "phases"
        if not folder.is_dir():
            raise self._missing("phases/")
        return read_parts(folder, wells=wells, columns=columns, where=expression(where))

    def phases_by_well(
        self, columns: Sequence[str] | None = None, *, wells: str | Sequence[str] | None = None
    ) -> Iterator[tuple[str, pd.DataFrame]]:
        """Each well that has nuclei and their phases, in plate order."""
        return read_by_well(self.folder / "phases", wells=wells, columns=columns)

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

    def cycles(self) -> pd.DataFrame:
        """One row per well (empty: the plate) and model: cell-cycle fractions, or why there are none."""
        return self.table("cycles")

    def fields(self) -> pd.DataFrame:
        """One row per expected field, from the ledger as it is now: status, reason, nuclei, backgrounds, seconds."""
        return ledger_frame(read_ledger(self.folder, self.keys()))

    def table(self, name: str) -> pd.DataFrame:
        """The readout table ``NAME.parquet`` of the folder; ``fields`` is as the last readout left it, with flags."""
        path = self.folder / f"{name}.parquet"
        if not path.is_file():
            raise self._missing(path.name)
        return read_frame(path)

    def columns(self) -> pd.DataFrame:
        """The column dictionary: table, name, type, unit, definition, source."""
        return pd.read_csv(StringIO((self.folder / "columns.csv").read_text()), keep_default_na=False)

    def keys(self) -> tuple[FieldKey, ...]:
        """Every field the run expects."""
        return tuple(FieldKey.parse(text) for text in self.record["fields"])

    def labels(self, well: str, field: int = 0) -> NDArray[Any]:
        """Nucleus labels (Y, X) of one field, from where the run wrote them."""
        target = self.record["identity"]["labels"]
        if target == "none":
            raise ResultsError(f"{self.folder} was made with --labels none; run again with --labels out to keep labels")
        store: object = self.record["plate_path"]
        if target == "out":
            own = self.folder / "labels.zarr"
            store = own if own.is_dir() else self.record.get("labels_path", own)
        return read_labels(str(store), FieldKey(WellId.parse(well), field))

    def image(self, well: str, field: int = 0, channel: int | str = 0) -> NDArray[Any]:
        """One channel (Y, X), by number or name, of one field, from the plate."""
        path, key = self.record["plate_path"], FieldKey(WellId.parse(well), field)
        number = find_channel(tuple(self.record["channels"]["names"]), channel, option="channel")
        info, array = open_image(location(path), locate(path, key).path, key)
        z = self.record["identity"]["config"]["z"]
        image: NDArray[Any] = read_pixels(array, info, location(path), key, channels=(number,), z=z)[0]
        return image

    def crop(self, nucleus: Any, size_px: int = 64, channel: int | str = 0) -> NDArray[Any]:
        """Square (size_px, size_px) of one channel, centred on a nucleus; pixels beyond the field's edge are 0.

        ``nucleus`` is a row of ``nuclei()`` or (well, field, object number). ResultsError where there is no such one.
        """
        well, field, number = nucleus_key(nucleus)
        here = [("Metadata_Site", "==", field), ("Metadata_ObjectNumber", "==", number)]
        found = self.nuclei(wells=[well], columns=[*KEYS, *CENTER], where=here)
        if found.empty:
            raise ResultsError(f"{self.folder} has no nucleus {number} in field {well}/{field}; nuclei() lists them")
        crop: NDArray[Any] = self.crops(found, size_px, channel)[0]
        return crop

    def crops(self, nuclei: pd.DataFrame, size_px: int = 64, channel: int | str = 0) -> NDArray[Any]:
        """Crops (N, size_px, size_px) of rows of ``nuclei()``, as `crop` cuts them; every field is read once.

        ``nuclei`` needs the Metadata keys and Nuclei_AreaShape_Center_Y and _X. ResultsError where one is missing.
        """
        missing = [name for name in (*KEYS, *CENTER) if name not in nuclei]
        if missing:
            raise ResultsError(f"the nuclei to crop lack the columns {', '.join(missing)}; ask nuclei() for them")
        return cut_crops(nuclei, size_px, lambda well, field: self.image(well, field, channel))

    def _computed(self) -> dict[str, ds.Expression]:
        """Columns that are not on disk, as expressions over those that are."""
        import pyarrow.dataset as ds  # noqa: PLC0415

        return {DNA_CONTENT_N: ds.field(_CONTENT) * 2.0 / self._two_n()}

    def _two_n(self) -> float:
        """DNA content of the plate's 2N peak; NaN where it is not usable or the readouts were not made yet."""
        path = self.folder / "plate.parquet"
        if not path.exists():
            return float("nan")
        peak = read_frame(path)[["DNA_TwoN", "DNA_Usable"]].head(1)
        return float(peak["DNA_TwoN"].iloc[0]) if len(peak) and peak["DNA_Usable"].iloc[0] else float("nan")

    def _missing(self, name: str) -> ResultsError:
        return ResultsError(f"{self.folder} has no {name}; run `hcs readout {self.folder}` to make it")


def open_results(folder: str | Location) -> Results:
    """The results of ``hcs run … --out folder``; ResultsError where it is not such a folder."""
    path = location(folder)
    with within_reach(path):
        found = (path / "run.json").is_file()
    if not found:
        raise ResultsError(f"{path} holds no run.json; give the --out folder of an `hcs run`")
    return Results(path, read_json(path / "run.json"))
