"""A results folder as an object: tables as pandas or pyarrow, labels, images and crops as arrays.

Long, because it is the one object that a notebook user meets: every table, image and label is asked of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal, Self

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
from numpy.typing import NDArray

from hcs.columns import DEAD, DNA_CONTENT_N
from hcs.errors import ResultsError
from hcs.measure.columns import channel_suffixes
from hcs.plate.keys import NO_FRAME, FieldKey, WellId
from hcs.readout.tables import READOUTS
from hcs.store.location import Location, location, within_reach
from hcs.store.results.crops import CENTER, KEYS, TIMEPOINT, Crop, cut, cut_crops, nucleus_key, starts_px
from hcs.store.results.ledger import LedgerEntry, entry_path, ledger_frame, read_ledger
from hcs.store.results.parts import Part, Parts, Where, expression
from hcs.store.results.readout_record import COLUMNS, ReadoutRecord
from hcs.store.results.record import RUN_RECORD, RunRecord
from hcs.store.results.table import FRAMES, NUCLEI, TRACKS, frame_of, part_path, tracks_path

if TYPE_CHECKING:
    from hcs.store.plate.pictures import Pictures


@dataclass(frozen=True, slots=True, repr=False)
class RunTables:
    """The folder and record of one run: its readout tables, its fields and wells."""

    folder: Location
    record: RunRecord
    """``run.json``: configuration, plate, model, versions, machine, times."""
    seen: tuple[LedgerEntry, ...] | None = field(default=None, kw_only=True)
    """All entries as they were at one moment, so that what is made of them agrees; None takes them as they are."""
    frame: int = field(default=NO_FRAME, kw_only=True)
    """The one frame that these results are of, as if every field had been imaged then alone; see `at`."""

    def __repr__(self) -> str:
        name, wells, fields = self.record.plate, self.well_names(), len(self.record.keys)
        frames = "" if self.record.time is None else f" of {self.record.usual_frames} frames"
        return f"<Results {str(self.folder)!r}: plate {name!r}, {len(wells)} wells, {fields} fields{frames}>"

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

    def tracks(self) -> pd.DataFrame:
        """One row per track of a plate with time: parent, first and last frame, how it began and ended, quality."""
        return self.table("tracks")

    def timepoints(self) -> pd.DataFrame:
        """One row per frame of every field of a plate with time: status, reason, nuclei, image quality."""
        return self.table("timepoints")

    def fields(self) -> pd.DataFrame:
        """One row per expected field: status, reason, nuclei, image quality and flags, as the last readout left it."""
        return self.table("fields")

    def ledger(self) -> pd.DataFrame:
        """One row per expected field as it is now, also while the run goes on: status, reason, nuclei, seconds."""
        return ledger_frame(self.entries())

    def entries(self, keys: Sequence[FieldKey] | None = None) -> tuple[LedgerEntry, ...]:
        """Entries of all expected fields, or some, as they are now, or were when ``seen``."""
        wanted = self.keys() if keys is None else keys
        if self.seen is not None:
            by_name = {entry.field: entry for entry in self.seen}
            return tuple(by_name[str(key)] for key in wanted)
        return tuple(map(self._with_reason, wanted, read_ledger(self.folder, wanted, self.record.run_id)))

    def _with_reason(self, key: FieldKey, entry: LedgerEntry) -> LedgerEntry:
        """An entry of a frame that the field does not have says so."""
        if not key.is_frame or key.frame < self.record.frames(key):
            return entry
        reason = f"it has {self.record.frames(key)} time points, and no frame {key.frame}"
        return replace(entry, status="failed", reason=reason)

    def at(self, frame: int) -> Self:
        """The same results as if every field had been imaged once, at this 0-based frame; ResultsError where no field
        has it."""
        if not 0 <= frame < max(map(self.record.frames, self.record.keys), default=0):
            has = f"its fields have {self.record.usual_frames}" if self.record.time is not None else "it has no time"
            raise ResultsError(f"{self.folder} has no frame {frame}: {has}; frames count from 0")
        return replace(self, frame=frame, seen=None)

    def at_timepoint(self, timepoint: int | Literal["first", "last"]) -> Self:
        """`at` the frame that ``readout.timepoint`` names: the last is that of most fields; unchanged without time."""
        if self.record.time is None:
            return self
        named = {"first": 0, "last": self.record.usual_frames - 1}
        return self.at(named[timepoint] if isinstance(timepoint, str) else timepoint)

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
        """The readout table ``NAME.parquet`` of the folder, one of READOUTS; ResultsError where it is not there."""
        if name not in READOUTS:
            raise ResultsError(f"{name!r} is no readout table; there are {', '.join(READOUTS)}")
        return frame_of(self._content(f"{name}.parquet"))

    def columns(self) -> pd.DataFrame:
        """The column dictionary: table, name, type, unit, definition, source."""
        return pd.read_csv(BytesIO(self._content(COLUMNS)), keep_default_na=False)

    def keys(self) -> tuple[FieldKey, ...]:
        """Every field the run expects, or its frame that these results are of."""
        if self.frame == NO_FRAME:
            return self.record.keys
        return tuple(key.at(self.frame) if self.record.frames(key) else key for key in self.record.keys)

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

    def known_field(self, well: str, field: int, frame: int | None = None) -> FieldKey:
        """A field of the run, or the frame of it; ResultsError where it has no such well, field or frame, or where a
        field has frames and none is named."""
        self.known_wells(well)
        key = FieldKey(WellId.parse(well), field)
        if key not in self.record.keys:
            numbers = [str(other.field) for other in self.keys() if other.well == key.well]
            raise ResultsError(f"{self.folder} has no field {key}; well {key.well} has {', '.join(numbers)}")
        frames = self.record.frames(key)
        chosen = self.frame if frame is None else frame
        if frames and not 0 <= chosen < frames:
            said = "say which one" if chosen == NO_FRAME else f"there is no frame {chosen}"
            raise ResultsError(f"field {key} of {self.folder} has frames 0 to {frames - 1}; {said}")
        if not frames and chosen > 0:
            raise ResultsError(f"field {key} of {self.folder} was imaged once; it has no frame {chosen}")
        return key.at(chosen) if frames else key

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


_CONTENT = "Nuclei_DNA_Content"
_AREA = "Nuclei_AreaShape_Area"


@dataclass(frozen=True, slots=True, repr=False)
class Results(RunTables):
    """The results of one run; nothing is read before it is asked for.

    Tables come as pandas frames; ``columns()`` gives unit, definition and source of every column. They need neither the
    plate nor torch, dask or zarr; images and labels need the plate.
    """

    plate_path: str
    """Where the plate is: images, and labels unless the run wrote them elsewhere."""

    def nuclei(
        self,
        *,
        wells: str | Sequence[str] | None = None,
        columns: str | Sequence[str] | None = None,
        where: Where | None = None,
    ) -> pd.DataFrame:
        """One row per nucleus: all of them or some wells (``["B03"]``), columns, and rows for which ``where`` holds.

        ``where`` is a condition such as ``("Nuclei_AreaShape_Area", ">", 80)``, a list of conditions that must all
        hold, or a pyarrow expression. Beside the columns on disk there are two that need what is known only when all
        fields are measured: ``Nuclei_DNA_ContentN``, the DNA content in units of N, NaN where the plate has no usable
        2N peak, and ``Nuclei_Flag_Dead``, whether the nucleus is a dead cell, null where that cannot be told.
        ResultsError for a well or a column that there is not.
        """
        computed = self._computed()
        parts = self.parts(self.known_wells(wells))
        return parts.read(columns, where=expression(where, computed), computed=computed)

    def stored_columns(self) -> tuple[str, ...]:
        """The columns of the nucleus table that are on disk, in their order."""
        return self.parts().columns()

    @property
    def has_nuclei(self) -> bool:
        """Whether any field has its part of the nucleus table, be it empty; ResultsError where an entry is damaged."""
        return bool(self._parts(self.keys()))

    def parts(self, wells: Sequence[str] | None = None) -> Parts:
        """The parts of the nucleus table, of all wells or some, as the ledger has them: whatever else lies there is
        passed over.

        ResultsError where the entry of a field is damaged, or gone since the readouts were made: what else is there
        would pass for all.
        """
        chosen = [key for key in self.keys() if wells is None or str(key.well) in wells]
        parts = self._parts(chosen)
        like = None if parts else next(iter(self._parts(self.keys())), None)
        return Parts(self.folder / (NUCLEI if self.frame == NO_FRAME else FRAMES), parts, self._again, like)

    def track_parts(self) -> Parts:
        """The parts of the track table as the ledger has them, a field each."""
        plate, again = self.record.plate, f"`hcs run` into {self.folder} again makes it again"
        entries = zip(self.record.keys, self.entries(self.record.keys), strict=True)
        parts = [
            Part(tracks_path(self.folder, plate, key), str(key.well), entry.tracks)
            for key, entry in entries
            if entry.done and entry.tracks is not None
        ]
        return Parts(self.folder / TRACKS, tuple(parts), again)

    def frame_entries(self) -> tuple[LedgerEntry, ...]:
        """Entries of all frames of a plate with time, as they are now."""
        return read_ledger(self.folder, [key for key in self.record.units if key.is_frame], self.record.run_id)

    @property
    def _again(self) -> str:
        return f"`hcs run` into {self.folder} again makes this field, and no other, again"

    def _parts(self, keys: Sequence[FieldKey]) -> tuple[Part, ...]:
        parts, counted = [], self.counted()
        for key, entry in zip(keys, self.entries(keys), strict=True):
            if entry.damaged:
                raise ResultsError(f"{self.folder}: field {key} cannot be counted: {entry.reason}")
            if entry.done:
                parts.append(Part(part_path(self.folder, self.record.plate, key), str(key.well), entry.part))
            elif entry.status == "pending" and entry.field in counted:
                path = entry_path(self.folder, key)
                raise ResultsError(f"{path} is missing, though the readouts have its field; {self._again}")
        return tuple(parts)

    def nuclei_by_well(
        self,
        columns: str | Sequence[str] | None = None,
        *,
        wells: str | Sequence[str] | None = None,
        where: Where | None = None,
        threads: int | None = None,
    ) -> Iterator[tuple[str, pd.DataFrame]]:
        """Each well that has been worked on and its nuclei, in plate order: a plate of any size in little memory.

        ``threads`` wells are read ahead while one is worked on, by default one for each core that pyarrow uses.
        """
        computed = self._computed()
        parts = self.parts(self.known_wells(wells))
        return parts.by_well(columns, where=expression(where, computed), computed=computed, threads=threads)

    def aggregate(
        self,
        columns: str | Sequence[str],
        *,
        by: str = "Metadata_Well",
        how: str = "mean",
        wells: str | Sequence[str] | None = None,
        where: Where | None = None,
    ) -> pd.DataFrame:
        """One row per value of ``by`` within each well: ``columns`` (numeric) summarised by ``how``, a pandas
        aggregation (mean, median, std, min, max …), and Count_Nuclei.

        NaN is left out. Wells are read one by one, so that it takes little memory. The well table has the means and
        medians of all columns already; this is for other groups, filters and statistics. ResultsError for an
        aggregation that there is not, or that the columns do not have.
        """
        names = [columns] if isinstance(columns, str) else list(columns)
        keys = [*dict.fromkeys(["Metadata_Plate", "Metadata_Well", by])]
        groups = []
        for _, nuclei in self.nuclei_by_well([*dict.fromkeys([*keys, *names])], wells=wells, where=where):
            grouped = nuclei.groupby(keys, observed=True)
            try:
                groups.append(grouped[names].agg(how).assign(Count_Nuclei=grouped.size()))
            except (AttributeError, TypeError, ValueError) as error:
                raise ResultsError(
                    f"{', '.join(names)} cannot be summarised by {how!r} ({error}); take numeric columns, and mean, "
                    "median, std, min, max, sum or another aggregation of pandas"
                ) from error
        if not groups:
            raise ResultsError(f"{self.folder} has no nuclei in the wells asked for; `hcs status` lists its wells")
        return pd.concat(groups).reset_index()

    def dataset(self) -> ds.Dataset:
        """The nucleus table as a pyarrow dataset, which DuckDB, polars and pyarrow query without loading it.

        It has the columns on disk (not ``Nuclei_DNA_ContentN``) and the partition columns ``plate`` and ``well``;
        a filter on ``well`` leaves the parts of other wells unread.
        """
        return self.parts().dataset()

    def phases(
        self,
        *,
        wells: str | Sequence[str] | None = None,
        columns: str | Sequence[str] | None = None,
        where: Where | None = None,
    ) -> pd.DataFrame:
        """One row per nucleus: phase, its probabilities and gate; joins with ``nuclei()`` on the four Metadata keys."""
        return self._phases(wells).read(columns, where=expression(where))

    def phase_columns(self) -> tuple[str, ...]:
        """The columns of the phase table on disk; none where no phases were told."""
        readouts = self.readouts()
        parts = None if readouts is None else readouts.phases(self.folder)
        return parts.columns() if parts is not None and parts.parts else ()

    def phases_by_well(
        self, columns: str | Sequence[str] | None = None, *, wells: str | Sequence[str] | None = None
    ) -> Iterator[tuple[str, pd.DataFrame]]:
        """Each well that has nuclei and their phases, in plate order."""
        return self._phases(wells).by_well(columns)

    def labels(self, well: str, field: int = 0, *, frame: int | None = None) -> NDArray[Any]:
        """Nucleus labels (Y, X), uint32, of one field; the number is Metadata_ObjectNumber, 0 is background. Of a field
        with time, those of one ``frame``.

        ResultsError where the run kept no labels, or has no such field.
        """
        return self._pictures().labels(self.known_field(well, field, frame))

    def cells(self, well: str, field: int = 0, *, frame: int | None = None) -> NDArray[Any]:
        """Labels (Y, X), uint32, of the whole cells of one field, numbered as their nuclei; see `labels`.

        ResultsError where the run grew no cells, kept no labels, or has no such field.
        """
        return self._pictures().cells(self.known_field(well, field, frame))

    def micronuclei(self, well: str, field: int = 0, *, frame: int | None = None) -> NDArray[Any]:
        """Labels (Y, X), uint32, of the micronuclei of one field; see `labels`. Those of a nucleus have the numbers
        from its Metadata_FirstMicronucleus on, as many as Nuclei_Micronuclei_Count.

        ResultsError where the run looked for none, kept no labels, or has no such field.
        """
        return self._pictures().micronuclei(self.known_field(well, field, frame))

    def image(self, well: str, field: int = 0, channel: int | str = 0, *, frame: int | None = None) -> NDArray[Any]:
        """One channel (Y, X), by number or name, of one field, as stored on the plate; its pixels are the labels'. Of a
        field with time, one ``frame``."""
        image: NDArray[Any] = self._pictures().images(self.known_field(well, field, frame), [channel]).pixels[0]
        return image

    def crop(self, nucleus: Any, size_px: int = 64, channels: Sequence[int | str] | None = None) -> Crop:
        """A square of side ``size_px`` around one nucleus: images (C, Y, X), mask (Y, X), and the side of a pixel, µm.

        ``nucleus`` is a row of ``nuclei()`` or (well, field, object number), with time also its frame; ``channels``, by
        number or name, are all of the plate by default. Pixels beyond the field's edge are 0. ResultsError where there
        is no such nucleus.
        """
        well, field, number, frame = nucleus_key(nucleus)
        key = self.known_field(well, field, None if frame == NO_FRAME else frame)
        here = [("Metadata_Site", "==", field), ("Metadata_ObjectNumber", "==", number)]
        here += [(TIMEPOINT, "==", key.frame)] if key.is_frame else []
        found = self.nuclei(wells=[well], columns=[*KEYS, *CENTER], where=here)
        if found.empty:
            raise ResultsError(f"{self.folder} has no nucleus {number} in field {key}; nuclei() lists them")
        pictures = self._pictures()
        images = pictures.images(key, channels)
        start = starts_px(found, size_px)[0]
        return Crop(
            well=str(key.well),
            field=key.field,
            number=number,
            channels=images.channels,
            images=cut(images.pixels, start, size_px),
            labels=cut(pictures.labels(key), start, size_px) if pictures.labelled else None,
            start_px=start,
            pixel_size_um=images.pixel_size_um,
            frame=key.frame,
        )

    def crops(self, nuclei: pd.DataFrame, size_px: int = 64, channel: int | str = 0) -> NDArray[Any]:
        """Squares (N, size_px, size_px) of one channel around rows of ``nuclei()``; every field is read once.

        ``nuclei`` needs the Metadata keys and Nuclei_AreaShape_Center_Y and _X. Pixels beyond a field's edge are 0.
        ResultsError where a column is missing.
        """
        missing = [name for name in (*KEYS, *CENTER) if name not in nuclei]
        if missing:
            raise ResultsError(f"the nuclei to crop lack the columns {', '.join(missing)}; ask nuclei() for them")

        def image_of(well: str, field: int, frame: int) -> NDArray[Any]:
            return self.image(well, field, channel, frame=None if frame == NO_FRAME else frame)

        return cut_crops(nuclei, size_px, image_of)

    def _pictures(self) -> Pictures:
        from hcs.store.plate.pictures import Pictures  # noqa: PLC0415, zarr and what it imports take a second

        return Pictures(self.folder, self.record, self.plate_path)

    def _phases(self, wells: str | Sequence[str] | None) -> Parts:
        readouts, names = self.readouts(), self.known_wells(wells)
        parts = None if readouts is None else readouts.phases(self.folder)
        if parts is None or not parts.parts:
            raise self._missing("phases/")
        return parts if names is None else parts.of(names)

    def _computed(self) -> dict[str, ds.Expression]:
        """Columns that are not on disk, as expressions over those that are; none where no DNA channel was measured."""
        if self.record.channels.dna is None:
            return {}
        return {DNA_CONTENT_N: ds.field(_CONTENT) * 2.0 / self._two_n(), DEAD: self._dead()}

    def with_content_n(self, nuclei: pd.DataFrame) -> pd.DataFrame:
        """Nuclei that were read without Nuclei_DNA_ContentN, with it: reading a whole plate without computed columns
        takes two thirds of the time. Without a DNA channel, as they are."""
        if _CONTENT not in nuclei:
            return nuclei
        return nuclei.assign(**{DNA_CONTENT_N: nuclei[_CONTENT] * 2.0 / self._two_n()})

    def _dead(self) -> ds.Expression:
        """Whether a nucleus is a dead cell, by the limits of dead.parquet; null where these are not known, as before
        the readouts were made."""
        row = self.table("dead").iloc[0] if self.has("dead") else None
        if row is None or row["Reason"]:
            return ds.scalar(pa.scalar(None, pa.bool_()))
        content, area = ds.field(_CONTENT), ds.field(_AREA).cast(pa.float64())
        small = area <= row["Threshold_Small"]
        channels = self.record.channels
        saturated = f"Nuclei_Flag_SaturatedPixels_{channel_suffixes(channels.names).get(channels.dna or '')}"
        if saturated in self.stored_columns():
            small = small | (ds.field(saturated).cast(pa.float64()) * 2.0 >= area)
        bright = content >= area * row["Threshold_Bright"]
        return bright | ((content >= area * row["Threshold_Condensed"]) & small)

    def _two_n(self) -> float:
        """DNA content of the plate's 2N peak; NaN where it is not usable or the readouts were not made yet."""
        if not self.has("plate"):
            return float("nan")
        peak = self.plate()[["DNA_TwoN", "DNA_Usable"]].head(1)
        return float(peak["DNA_TwoN"].iloc[0]) if len(peak) and peak["DNA_Usable"].iloc[0] else float("nan")


def open_results(folder: str | Location, *, plate: str | Location | None = None) -> Results:
    """The results of ``hcs run … --out folder``; ResultsError where it is not such a folder.

    ``plate`` says where the plate is now, if it was moved since the run.
    """
    path = location(folder)
    with within_reach(path):
        found = (path / RUN_RECORD).is_file()
    if not found:
        raise ResultsError(f"{path} holds no {RUN_RECORD}; give the --out folder of an `hcs run`")
    record = RunRecord.read(path)
    return Results(path, record, str(plate or _plate_of(path, record)))


def _plate_of(folder: Location, record: RunRecord) -> str:
    """Where the plate is; of images that were read in place, its metadata are in the results, wherever these are."""
    inside = folder / location(record.plate_path).name
    return str(inside if record.images_from is not None and inside.is_dir() else record.plate_path)
