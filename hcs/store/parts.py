"""Reading tables that lie as Parquet parts in folders ``plate=…/well=…``: the nuclei, and the phases of nuclei."""

from __future__ import annotations

import operator
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import MappingProxyType
from typing import Any, TypeAlias, cast

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from hcs.errors import ResultsError
from hcs.plate.keys import WellId
from hcs.store.location import Location, Url, map_at
from hcs.store.table import no_column

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


def open_parts(folder: Location) -> ds.Dataset:
    """All parts below ``folder`` (``nuclei/``, ``phases/``) as a pyarrow dataset, which reads what is asked of it.

    Beside the columns of the parts it has the partition columns ``plate`` and ``well``: a filter on these leaves whole
    folders unread. ResultsError where there is no such folder.
    """
    if not folder.is_dir():
        raise _no_table(folder)
    hive = ds.partitioning(pa.schema([("plate", pa.string()), ("well", pa.string())]), flavor="hive")
    place, store = _address([folder])
    return ds.dataset(place[0], filesystem=store, format="parquet", partitioning=hive)


def read_parts(
    folder: Location,
    *,
    wells: str | Sequence[str] | None = None,
    columns: str | Sequence[str] | None = None,
    where: ds.Expression | None = None,
    computed: Computed = _NONE,
    threads: bool = True,
) -> pd.DataFrame:
    """The rows of all parts below ``folder``, ordered by plate, well, field and object, without partition columns.

    ``wells`` (``B03``, ``b3``, or several) lists and reads those wells' folders only; ``columns`` those columns only.
    ``threads`` reads several columns and parts at once. ResultsError where the folder holds no table, or it lacks a
    column.
    """
    names = [wells] if isinstance(wells, str) else wells
    wanted = None if names is None else sorted({WellId.parse(name) for name in names})
    chosen_files = _part_files(folder, wanted)
    files = chosen_files or _part_files(folder, None)[:1]
    if not files:
        raise _no_table(folder)
    place, store = _address(files)
    data = ds.dataset(place, filesystem=store, format="parquet")
    projection = _projection(folder, data.schema.names, columns, computed)
    if chosen_files and where is None and not projection.keys() & computed.keys():
        whole = _whole_parts(place, store, list(projection), threads=threads)
        if whole is not None:
            return cast(pd.DataFrame, whole.to_pandas())
    if wanted is not None:
        chosen = ds.field("Metadata_Well").isin([str(well) for well in wanted])
        where = chosen if where is None else chosen & where
    try:
        table = data.to_table(columns=projection, filter=where, use_threads=threads)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        reason = str(error).partition("\n")[0]
        if absent := _ABSENT.search(reason):
            raise no_column(folder, [absent[1]], data.schema.names) from error
        raise ResultsError(
            f"{folder} cannot be filtered so ({reason}); columns.csv gives every column's type"
        ) from error
    return cast(pd.DataFrame, table.to_pandas())


def _whole_parts(places: list[str], store: Any, columns: list[str], *, threads: bool) -> pa.Table | None:
    """All rows of some columns of parts; None where parts differ in a column's type or lack it, which a dataset
    settles.

    A dataset takes half as long again for as many small parts.
    """

    def read(place: str) -> pa.Table:
        return pq.ParquetFile(place, filesystem=store).read(columns=columns, use_threads=False)

    if threads and len(places) > 1:
        with ThreadPoolExecutor(pa.cpu_count()) as pool:
            tables = list(pool.map(read, places))
    else:
        tables = [read(place) for place in places]
    if any(table.schema != tables[0].schema for table in tables) or set(tables[0].schema.names) != set(columns):
        return None
    return pa.concat_tables(tables).select(columns)


def read_by_well(
    folder: Location,
    *,
    wells: str | Sequence[str] | None = None,
    columns: str | Sequence[str] | None = None,
    where: ds.Expression | None = None,
    computed: Computed = _NONE,
    threads: int | None = None,
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each well that has a part and its rows as `read_parts` gives them, in plate order.

    ``threads`` wells are read ahead at a time, by default pyarrow's number of cores; no more than these are in memory.
    """
    names = [wells] if isinstance(wells, str) else wells
    wanted = None if names is None else {str(WellId.parse(name)) for name in names}
    count = threads or pa.cpu_count()
    with ThreadPoolExecutor(count) as pool:
        ahead: deque[tuple[str, Future[pd.DataFrame]]] = deque()
        for well in wells_of_parts(folder):
            if wanted is not None and well not in wanted:
                continue
            ahead.append((well, pool.submit(
                read_parts, folder, wells=well, columns=columns, where=where, computed=computed, threads=False
            )))  # fmt: skip
            if len(ahead) > count:
                ready, frame = ahead.popleft()
                yield ready, frame.result()
        while ahead:
            ready, frame = ahead.popleft()
            yield ready, frame.result()


def wells_of_parts(folder: Location) -> tuple[str, ...]:
    """The wells that have a folder of parts below ``folder``, in plate order."""
    return tuple(str(well) for well in sorted({_well_of(path) for path in _well_folders(folder)}))


def stored_columns(folder: Location) -> tuple[str, ...]:
    """The columns of the parts below ``folder``, read from the first; ResultsError where there is none."""
    files = _part_files(folder, None)[:1]
    if not files:
        raise _no_table(folder)
    place, store = _address(files)
    return tuple(ds.dataset(place, filesystem=store, format="parquet").schema.names)


def _projection(
    folder: Location, stored: Sequence[str], columns: str | Sequence[str] | None, computed: Computed
) -> dict[str, ds.Expression]:
    """Name → expression of the columns asked for, by default all; ResultsError for one that there is not."""
    names = [*stored, *computed] if columns is None else [columns] if isinstance(columns, str) else list(columns)
    unknown = [name for name in names if name not in {*stored, *computed}]
    if unknown:
        raise no_column(folder, unknown, [*stored, *computed])
    return {name: computed.get(name, ds.field(name)) for name in names}


def _part_files(folder: Location, wells: Sequence[WellId] | None) -> list[Location]:
    """Every part below ``folder``, of all wells or those given, in plate order."""
    if wells is None:
        found = _well_folders(folder)
    else:
        found = [path for plate in _plate_folders(folder) for w in wells if (path := plate / f"well={w}").is_dir()]
    listed = map_at(folder, lambda path: sorted(p for p in path.iterdir() if _is_part(p)), found)
    return [path for paths in listed for path in paths]


def _well_folders(folder: Location) -> list[Location]:
    """The folders ``plate=…/well=…`` below ``folder``, by plate, then in plate order."""
    found: list[Location] = []
    for plate in _plate_folders(folder):
        found += sorted((path for path in plate.iterdir() if path.name.startswith("well=")), key=_well_of)
    return found


def _plate_folders(folder: Location) -> list[Location]:
    if not folder.is_dir():
        raise _no_table(folder)
    return sorted(path for path in folder.iterdir() if path.name.startswith("plate="))


def _well_of(folder: Location) -> WellId:
    return WellId.parse(folder.name.removeprefix("well="))


def _is_part(path: Location) -> bool:
    """Whether it is a part, and not one that is just being written."""
    return path.suffix == ".parquet" and not path.name.startswith(".")


def _address(places: list[Location]) -> tuple[list[str], Any]:
    """Addresses as pyarrow takes them, and the file system of a store (None on disk)."""
    first = places[0]
    if not isinstance(first, Url):
        return [str(place) for place in places], None
    store = first.filesystem()
    return [str(store._strip_protocol(str(place))) for place in places], store


def _no_table(folder: Location) -> ResultsError:
    return ResultsError(f"{folder} holds no table; give the --out folder of a finished `hcs run`")
