"""Reading tables that lie as Parquet parts in folders ``plate=…/well=…``: the nuclei, and the phases of nuclei.

Which parts there are is told by what was entered when they were written, not by what lies in the folder: a copy that a
synchroniser left is passed over, and a part that is missing or holds other bytes is an error that names it.
"""

from __future__ import annotations

import operator
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import groupby
from types import MappingProxyType
from typing import Any, TypeAlias, cast

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from hcs.errors import ResultsError
from hcs.plate.keys import WellId
from hcs.store.location import Location, Url, map_at
from hcs.store.results.sealed import Damaged, Written
from hcs.store.results.table import no_column

Condition: TypeAlias = tuple[str, str, Any]
"""Column, comparison, value: ``("Nuclei_AreaShape_Area", ">", 80)``."""

Where: TypeAlias = ds.Expression | Condition | Sequence[Condition]
"""Which rows: a condition, several that must all hold, or a pyarrow expression."""

Computed: TypeAlias = Mapping[str, ds.Expression]
"""Further columns, as expressions over those in the parts."""

_NONE: Computed = MappingProxyType({})
_ABSENT = re.compile(r"No match for FieldRef\.Name\(([^)]*)\)")
_COMPARISONS: dict[str, Callable[[ds.Expression, Any], ds.Expression]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda column, values: column.isin(list(values)),
    "not in": lambda column, values: ~column.isin(list(values)),
}


def expression(where: Where | None, computed: Computed = _NONE) -> ds.Expression | None:
    """Conditions as one pyarrow expression, names in ``computed`` as what they stand for; an expression is itself.

    ResultsError for a condition that is none, naming the comparisons there are.
    """
    if where is None or isinstance(where, ds.Expression):
        return where
    chosen: ds.Expression | None = None
    for condition in _conditions(where):
        try:
            name, comparison, value = condition
            holds = _COMPARISONS[comparison](computed.get(name, ds.field(name)), value)
        except (KeyError, TypeError, ValueError, pa.ArrowInvalid) as error:
            raise ResultsError(
                f"{condition!r} is no condition; write (column, comparison, value), the comparison one of "
                f"{', '.join(_COMPARISONS)}"
            ) from error
        chosen = holds if chosen is None else chosen & holds
    return chosen


def _conditions(where: Condition | Sequence[Condition]) -> Sequence[Any]:
    """One condition as a list of one: a column's name comes first."""
    alone = isinstance(where, str) or (isinstance(where, tuple) and bool(where) and isinstance(where[0], str))
    return [where] if alone else where


@dataclass(frozen=True, slots=True)
class Part:
    """One Parquet file of a table: whose well it is, and what it was written as."""

    path: Location
    well: str
    written: Written


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one table, in plate order, below ``folder`` (``nuclei/``, ``phases/``).

    Reading raises ResultsError where there is none, a column is missing, or a part is not what was written; ``remedy``
    says how it is made again.
    """

    folder: Location
    parts: tuple[Part, ...]
    remedy: str
    like: Part | None = None
    """A part of the same columns, where there may be none in ``parts``."""

    @property
    def wells(self) -> tuple[str, ...]:
        """The wells that have a part, in plate order."""
        return tuple(dict.fromkeys(part.well for part in self.parts))

    def of(self, wells: Sequence[str]) -> Parts:
        """The parts of some wells, such as ``B03``."""
        chosen = tuple(part for part in self.parts if part.well in wells)
        return replace(self, parts=chosen, like=self._first())

    def columns(self) -> tuple[str, ...]:
        """The columns of the parts, read from the first."""
        return tuple(_open(self._content(self._first())).schema_arrow.names)

    def dataset(self) -> ds.Dataset:
        """All parts as a pyarrow dataset, which reads what is asked of it; all are checked now.

        Beside the columns of the parts it has the partition columns ``plate`` and ``well``: a filter on these leaves
        whole folders unread.
        """
        hive = ds.partitioning(pa.schema([("plate", pa.string()), ("well", pa.string())]), flavor="hive")
        base = _address([self.folder])[0][0]
        return self._checked_dataset(partitioning=hive, partition_base_dir=base)

    def check(self) -> None:
        """ResultsError where a part is not what was written."""
        map_at(self.folder, lambda part: self._content(part) and None, self.parts)

    def read(
        self,
        columns: str | Sequence[str] | None = None,
        *,
        where: ds.Expression | None = None,
        computed: Computed = _NONE,
        threads: bool = True,
    ) -> pd.DataFrame:
        """The rows of all parts, ordered by plate, well, field and object, without partition columns.

        ``columns`` are those columns only; ``threads`` reads several parts at once.
        """
        projection = self._projection(columns, computed)
        if where is None and not projection.keys() & computed.keys():
            whole = pa.concat_tables(self._tables(list(projection), threads=threads), promote_options="permissive")
            return cast(pd.DataFrame, whole.select(list(projection)).to_pandas())
        return self._filtered(projection, where, threads=threads)

    def by_well(
        self,
        columns: str | Sequence[str] | None = None,
        *,
        where: ds.Expression | None = None,
        computed: Computed = _NONE,
        threads: int | None = None,
    ) -> Iterator[tuple[str, pd.DataFrame]]:
        """Each well that has a part and its rows as `read` gives them, in plate order.

        ``threads`` wells are read ahead at a time, by default pyarrow's number of cores; no more than these are in
        memory.
        """
        count = threads or pa.cpu_count()
        with ThreadPoolExecutor(count) as pool:
            ahead: deque[tuple[str, Future[pd.DataFrame]]] = deque()
            for well, group in groupby(self.parts, key=lambda part: part.well):
                parts = replace(self, parts=tuple(group))
                ahead.append((well, pool.submit(parts.read, columns, where=where, computed=computed, threads=False)))
                if len(ahead) > count:
                    ready, frame = ahead.popleft()
                    yield ready, frame.result()
            while ahead:
                ready, frame = ahead.popleft()
                yield ready, frame.result()

    def _first(self) -> Part:
        first = self.parts[0] if self.parts else self.like
        if first is None:
            raise ResultsError(f"{self.folder} holds no table; give the --out folder of a finished `hcs run`")
        return first

    def _content(self, part: Part) -> bytes:
        try:
            return part.written.read(part.path)
        except Damaged as damage:
            raise ResultsError(f"{part.path} {damage}; {self.remedy}") from damage

    def _tables(self, columns: list[str], *, threads: bool) -> list[pa.Table]:
        """Some columns of every part, or no row of one that is like them; a dataset takes half as long again."""

        def read(part: Part) -> pa.Table:
            return _open(self._content(part)).read(columns=columns, use_threads=False)

        if not self.parts:
            return [read(self._first()).slice(0, 0)]
        if threads and len(self.parts) > 1:
            with ThreadPoolExecutor(pa.cpu_count()) as pool:
                return list(pool.map(read, self.parts))
        return [read(part) for part in self.parts]

    def _checked_dataset(self, **options: Any) -> ds.Dataset:
        self.check()
        places, store = _address([part.path for part in self.parts or (self._first(),)])
        return ds.dataset(places, filesystem=store, format="parquet", **options)

    def _filtered(
        self, projection: dict[str, ds.Expression], where: ds.Expression | None, *, threads: bool
    ) -> pd.DataFrame:
        data = self._checked_dataset()
        if not self.parts:
            where = ds.scalar(False) if where is None else where & ds.scalar(False)
        try:
            table = data.to_table(columns=projection, filter=where, use_threads=threads)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            reason = str(error).partition("\n")[0]
            if absent := _ABSENT.search(reason):
                raise no_column(self.folder, [absent[1]], data.schema.names) from error
            raise ResultsError(
                f"{self.folder} cannot be filtered so ({reason}); columns.csv gives every column's type"
            ) from error
        return cast(pd.DataFrame, table.to_pandas())

    def _projection(self, columns: str | Sequence[str] | None, computed: Computed) -> dict[str, ds.Expression]:
        """Name → expression of the columns asked for, by default all; ResultsError for one that there is not."""
        stored = self.columns()
        names = [*stored, *computed] if columns is None else [columns] if isinstance(columns, str) else list(columns)
        unknown = [name for name in names if name not in {*stored, *computed}]
        if unknown:
            raise no_column(self.folder, unknown, [*stored, *computed])
        return {name: computed.get(name, ds.field(name)) for name in names}


def in_plate_order(parts: Sequence[Part]) -> tuple[Part, ...]:
    """The parts ordered by well, then by name."""
    return tuple(sorted(parts, key=lambda part: (WellId.parse(part.well), part.path.name)))


def _open(data: bytes) -> pq.ParquetFile:
    return pq.ParquetFile(pa.BufferReader(data))


def _address(places: list[Location]) -> tuple[list[str], Any]:
    """Addresses as pyarrow takes them, and the file system of a store (None on disk)."""
    first = places[0]
    if not isinstance(first, Url):
        return [str(place) for place in places], None
    store = first.filesystem()
    return [str(store._strip_protocol(str(place))) for place in places], store
