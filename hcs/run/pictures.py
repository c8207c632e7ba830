"""The pictures of a plate's page, begun before its tables are made and by whoever has time for them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol

from hcs.errors import HcsError
from hcs.plate.keys import NO_FRAME, FieldKey, WellId
from hcs.report.shots import picture_fields, picture_nuclei, settle_look
from hcs.report.thumbnails import PixelPlane
from hcs.store.location import location, map_at
from hcs.store.plate.lazy import open_channels, open_labels
from hcs.store.plate.pictures import Pictures as Kept
from hcs.store.plate.reader import Plate, open_plate
from hcs.store.results.ledger import read_entry

if TYPE_CHECKING:
    import pandas as pd

    from hcs.report.pictures import PagePictures, Shown
    from hcs.report.tables import PlateTables
    from hcs.store.location import Location
    from hcs.store.results.folder import Results

_WELLS_A_TASK = 12
PATIENCE_S = 30.0
"""How long workers may take beyond the readouts: they may be gone."""


class Pending(Protocol):
    """A future of dask or of a pool of threads."""

    def result(self, timeout: float | None = None) -> Any:
        """What the function returned; raises what it raised, or TimeoutError."""


Submit = Callable[[Callable[[], Any]], Pending]
"""As dask's clients and pools of threads have it."""
Begun = tuple[Callable[[], Any], Pending]
"""What was submitted, and its future."""


@contextlib.contextmanager
def one_thread() -> Iterator[Submit]:
    """A thread beside this one; what it has not begun when an error ends the block is left."""
    aside = ThreadPoolExecutor(1)
    try:
        yield aside.submit
    finally:
        aside.shutdown(cancel_futures=True)


@dataclass(frozen=True, slots=True)
class PictureSource:
    """Reads a field's channels and labels from the run's plate, those of a field in blocks piece by piece."""

    plate: Plate
    kept: Kept
    channels: tuple[int, ...]
    others: frozenset[tuple[str, int]] = frozenset()
    """Fields (well, number) whose labels are not those that the run wrote."""
    frame: int = NO_FRAME
    """The frame that is shown of fields with time."""
    z: Literal["refuse", "max"] = "refuse"
    whole_px: int = 0
    """Pixels of a field that was not processed in blocks."""

    @classmethod
    def of(cls, plate: Plate, kept: Kept, channels: tuple[int, ...], *, frame: int) -> PictureSource:
        """That of a run; its settings are parsed once, which takes as long as reading a field."""
        config = kept.record.config
        return cls(plate, kept, channels, frame=frame, z=config.z, whole_px=config.tiles.max_field_px)

    def only(self, shown: Mapping[str, int]) -> PictureSource:
        """The same for the ``shown`` fields by well: what travels to a worker."""
        keys = [FieldKey(WellId.parse(well), field) for well, field in shown.items()]
        others = frozenset(field for field in shown.items() if field in self.others)
        return replace(self, plate=self.plate.only(*keys), others=others)

    def key(self, well: str, field: int) -> FieldKey:
        """The field, or the frame of it that is shown."""
        key = FieldKey(WellId.parse(well), field)
        return key.at(self.frame) if self.kept.record.frames(key) else key

    def images(self, well: str, field: int) -> Sequence[PixelPlane] | None:
        """Channels, each (Y, X); None where they are gone."""
        key = self.key(well, field)
        try:
            return open_channels(self.plate, key, self.channels, z=self.z, whole_px=self.whole_px)
        except HcsError:
            return None

    def labels(self, well: str, field: int) -> PixelPlane | None:
        """Labels (Y, X); None where there are none, or they are gone."""
        target, key = self.kept.target, self.key(well, field)
        if target is None or (well, field) in self.others:
            return None
        try:
            path = target.field(self.plate.entry(key))
            return open_labels(target.path, key, target.name, path=path, whole_px=self.whole_px)
        except HcsError:
            return None

    def strangers(self, wanted: Mapping[str, int]) -> dict[tuple[str, int], str]:
        """Of the ``wanted`` fields, one a well, those whose labels are not those that the run wrote, and why."""
        target, run = self.kept.target, self.kept.record.run_id
        if target is None:
            return {}

        def complaint(field: tuple[str, int]) -> str | None:
            key = FieldKey(WellId.parse(field[0]), field[1])
            try:
                entry = read_entry(self.kept.folder, key, run)
                if self.kept.record.frames(key) and not entry.done:
                    return "its frames are not all done yet, and its labels are shown when they are"
                return target.complaint(self.plate.entry(key), entry.input_crc32, entry.edited_crc32)
            except (HcsError, OSError):  # out of reach: there is no picture either
                return None

        fields = list(wanted.items())
        said = map_at(location(target.path), complaint, fields)
        return {field: why for field, why in zip(fields, said, strict=True) if why is not None}


def _notes(strangers: dict[tuple[str, int], str]) -> tuple[str, ...]:
    """A sentence on labels that are not the run's own."""
    if not strangers:
        return ()
    (well, field), why = next(iter(strangers.items()))
    return (
        f"Labels of {len(strangers)} of the fields shown are not those that this run wrote ({well}/{field}: {why}); "
        "these fields are shown without outlines.",
    )


class PicturesAhead:
    """The pictures of ``results``, whose fields are those of the table ``fields``: begun at once, taken later.

    ``submit`` says who makes them. Workers, which see the results at ``out``, may be gone: what they have not made some
    time after it is asked for is made here.
    """

    def __init__(self, results: Results, fields: pd.DataFrame, submit: Submit, *, out: Location | None = None) -> None:
        from hcs.report.pictures import pictured_fields  # noqa: PLC0415  pandas, which workers do without

        self.pictured = pictured_fields(fields)
        channels = results.record.channels
        self._names = tuple(dict.fromkeys(name for name in (channels.nuclei, channels.sensor) if name))
        self._submit, self._patience_s = submit, None if out is None else PATIENCE_S
        self._source = None
        self._shown: dict[str, Shown] = {}
        self._squares: list[Begun] = []
        self.notes: tuple[str, ...] = ()
        """Sentences on labels that are not shown."""
        try:
            plate = open_plate(results.plate_path)
        except HcsError:
            return
        kept = Kept(out or results.folder, results.record, results.plate_path)
        numbers = tuple(channels.names.index(name) for name in self._names)
        source = PictureSource.of(plate, kept, numbers, frame=results.frame)
        strangers = source.strangers(self.pictured)
        self.notes = _notes(strangers)
        self._source = replace(source, others=frozenset(strangers))
        self._look = settle_look(self._source, self.pictured)
        self._fields = self._begin(picture_fields, self.pictured)

    def begin_nuclei(self, tables: PlateTables, shown: pd.DataFrame | None) -> None:
        """Begin the pictures of the nuclei ``shown`` by themselves, in the fields that are pictured."""
        from hcs.report.pictures import crop_side_px, shown_nuclei  # noqa: PLC0415  as above

        if self._source is None or not self.pictured:
            return
        self._shown = shown_nuclei(tables, self.pictured, shown)
        places = {well: (self.pictured[well], own.centres) for well, own in self._shown.items()}
        self._squares = self._begin(picture_nuclei, places, crop_side_px(tables.nuclei))

    def taken(self, tables: PlateTables) -> PagePictures | None:
        """The pictures, with what the tables say of their nuclei; None where the plate is out of reach or no field is
        done."""
        from hcs.report.pictures import gather_pictures  # noqa: PLC0415  as above

        if self._source is None or not self.pictured:
            return None
        return gather_pictures(
            tables,
            channels=self._names,
            pictured=self.pictured,
            fields=self._end(self._fields),
            shown=self._shown,
            squares=self._end(self._squares),
        )

    def _begin(self, function: Callable[..., Any], wells: Mapping[str, Any], *more: object) -> list[Begun]:
        """``function`` of some of the ``wells`` at a time; of none where no field can be read."""
        begun: list[Begun] = []
        source = self._source
        if not self._look or source is None:
            return begun
        names = list(wells)
        for start in range(0, len(names), _WELLS_A_TASK):
            some = {well: wells[well] for well in names[start : start + _WELLS_A_TASK]}
            call = partial(function, source.only({well: self.pictured[well] for well in some}), some, self._look, *more)
            begun.append((call, self._submit(call)))
        return begun

    def _end(self, begun: list[Begun]) -> dict[str, Any]:
        """What the functions returned, as one."""
        end_s = None if self._patience_s is None else time.monotonic() + self._patience_s
        made: dict[str, Any] = {}
        for call, pending in begun:
            try:
                made |= pending.result(None if end_s is None else max(end_s - time.monotonic(), 0.1))
            except Exception:  # whatever became of the worker
                made |= call()
        return made
