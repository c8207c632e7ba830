"""Sheets of text cells from files as spreadsheets leave them: CSV in any usual encoding and with any usual separator,
and Excel workbooks. Every cell stays the text that was typed, as far as the file has it."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from io import BytesIO, StringIO
from typing import Any

from hcs.errors import PlateError

_SEPARATORS = ",;\t|"
_ZIP, _OLD_EXCEL = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
_LOOKED_AT = 50  # lines, to tell the separator


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """Rows of cells, the first being row 1 of the file, and how they were read: ``kind`` in words."""

    rows: tuple[tuple[str, ...], ...]
    kind: str
    notes: tuple[str, ...] = ()
    semicolons: bool = False


def read_sheet(content: bytes, source: str, sheet: str | None = None, *, plate: str | None = None) -> Sheet:
    """The cells of a CSV file or of a workbook, of which the first sheet or the one called ``sheet``; without that, the
    one that is called as the ``plate`` is, if there is one.

    Which of them a file is, its first bytes say, not its name. PlateError where it is neither, or is damaged.
    """
    if content.startswith(_OLD_EXCEL):
        raise PlateError(f"plate map {source} is an Excel file of before 2007; save it as .xlsx or CSV")
    if content.startswith(_ZIP):
        return _workbook(content, source, sheet, plate)
    if sheet is not None:
        raise PlateError(f"plate map {source} is no Excel workbook, so it has no sheet {sheet!r}; leave #{sheet} out")
    return _csv(content, source)


def _csv(content: bytes, source: str) -> Sheet:
    text, encoding = _decoded(content, source)
    lines = text.splitlines()
    offset, separator = 0, ""
    first = lines[0].strip().strip('"') if lines else ""
    if first.casefold().startswith("sep=") and len(first) <= 5:
        offset, separator = 1, first[4:] or "\t"
    try:
        separator = separator or _separator(lines, source)
        body = StringIO("\n".join(lines[offset:]), newline="")
        rows = [tuple(row) for row in csv.reader(body, delimiter=separator, strict=True, skipinitialspace=True)]
    except csv.Error as error:
        raise PlateError(
            f"plate map {source} cannot be read as CSV ({error}); save it again as CSV or .xlsx"
        ) from error
    unescaped = tuple(tuple(plain_text(cell) for cell in row) for row in rows)
    name = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}.get(separator, repr(separator))
    return Sheet(
        rows=((),) * offset + unescaped,
        kind=f"CSV, {encoding}, {name}",
        semicolons=separator == ";",
    )


def plain_text(cell: str) -> str:
    """A cell without the apostrophe that keeps a spreadsheet from taking a text for a formula."""
    return cell[1:] if cell[:1] == "'" and cell.lstrip("'")[:1] in tuple("=+-@") and cell.strip("'") else cell


def _decoded(content: bytes, source: str) -> tuple[str, str]:
    """The text, and the encoding in words: UTF-8, UTF-16 by its mark or its zeros, else Windows-1252."""
    for mark, codec, name in (
        (b"\xef\xbb\xbf", "utf-8-sig", "UTF-8 with a mark"),
        (b"\xff\xfe", "utf-16", "UTF-16"),
        (b"\xfe\xff", "utf-16", "UTF-16"),
    ):
        if content.startswith(mark):
            return _checked(content, codec, source), name
    zeros = content[:400].count(0)
    if zeros and zeros * 3 > len(content[:400]):
        codec = "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"
        return _checked(content, codec, source), "UTF-16"
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return _checked(content, "cp1252", source), "Windows-1252"
    return _checked(text.encode(), "utf-8", source), "UTF-8"


def _checked(content: bytes, codec: str, source: str) -> str:
    try:
        text = content.decode(codec)
    except UnicodeError as error:
        raise PlateError(
            f"plate map {source} cannot be read as CSV ({error}); save it as CSV in UTF-8, or as .xlsx"
        ) from error
    strange = next((sign for sign in text if ord(sign) < 32 and sign not in "\t\r\n\f"), None)
    if strange is not None:
        raise PlateError(
            f"plate map {source} cannot be read as CSV (it holds the sign {strange!r}); save it as CSV in UTF-8, or as "
            ".xlsx"
        )
    return text


def _separator(lines: Sequence[str], source: str) -> str:
    """The sign that cuts the lines looked at into most cells, the same number in most of them."""
    looked = [line for line in lines[:_LOOKED_AT] if line.strip()]

    def score(sign: str) -> tuple[int, int]:
        counts = [len(row) - 1 for row in csv.reader(looked, delimiter=sign) if row]
        return sum(count > 0 for count in counts), sum(counts)

    best = max(_SEPARATORS, key=score)
    if looked and score(best)[0] == 0:
        if len(looked) == 1:
            raise PlateError(
                f"plate map {source} cannot be read as CSV (one cell, {looked[0][:40]!r}); write a header with well "
                "and role, then one row a well"
            )
        return ","
    return best


def _workbook(content: bytes, source: str, sheet: str | None, plate: str | None) -> Sheet:
    import openpyxl  # noqa: PLC0415, a third of a second that other maps need not wait

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of parts of a workbook that say nothing of its cells
            values = openpyxl.load_workbook(BytesIO(content), data_only=True)
            formulas = openpyxl.load_workbook(BytesIO(content))
    except Exception as error:  # a zip of anything else, or a damaged one
        raise PlateError(
            f"plate map {source} is no workbook that can be read ({type(error).__name__}: {error}); save it as .xlsx "
            "or CSV"
        ) from error
    names = [page.title for page in values.worksheets]
    if sheet is not None and sheet not in names:
        raise PlateError(f"plate map {source} has no sheet {sheet!r}; it has {', '.join(names)}")
    if not names:
        raise PlateError(f"plate map {source} has no sheet; write one row a well into one")
    called = [name for name in names if plate is not None and name.strip().casefold() == plate.strip().casefold()]
    name = sheet or (called or names)[0]
    page = values[name]
    rows = [[_cell_text(cell, source) for cell in row] for row in page.iter_rows()]
    notes = _spread_merged(page, rows)
    _check_formulas(page, formulas[name], source)
    others = [other for other in names if other != name]
    if others and sheet is None:
        notes.append(f"sheet {name!r} is read, not {', '.join(others)}; {source}#{others[0]} would read that")
    return Sheet(rows=tuple(tuple(row) for row in rows), kind=f"Excel, sheet {name!r}", notes=tuple(notes))


def _cell_text(cell: Any, source: str) -> str:
    """A cell as its text: numbers without the tail of binary fractions, and with the zeros in front that their format
    shows."""
    value = cell.value
    if value is None:
        return ""
    if cell.data_type == "e":
        raise PlateError(
            f"plate map {source}, cell {cell.coordinate}: {value} is an error of the spreadsheet; correct it"
        )
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int | float):
        width = len(cell.number_format) if set(cell.number_format or "") == {"0"} else 0
        return f"{value:.15g}".zfill(width) if value == int(value) and abs(value) < 1e15 else f"{value:.15g}"
    if isinstance(value, datetime | date | time):
        raise PlateError(
            f"plate map {source}, cell {cell.coordinate}: the spreadsheet took it for a date ({value}); format the "
            "cell as text and write it again"
        )
    return plain_text(str(value).strip())


def _spread_merged(page: Any, rows: list[list[str]]) -> list[str]:
    """Write the text of merged cells into each of them; a note that it was done."""
    merged = list(page.merged_cells.ranges)
    first_row, first_column = page.min_row, page.min_column
    for area in merged:
        text = rows[area.min_row - first_row][area.min_col - first_column]
        for row in range(area.min_row, area.max_row + 1):
            for column in range(area.min_col, area.max_col + 1):
                rows[row - first_row][column - first_column] = text
    return [f"merged cells hold their text in each: {', '.join(str(area) for area in merged[:5])}"] if merged else []


def _check_formulas(page: Any, formulas: Any, source: str) -> None:
    """PlateError for a formula whose value the file does not have, as where its writer cannot calculate."""
    for row in formulas.iter_rows():
        for cell in row:
            if cell.data_type == "f" and page[cell.coordinate].value is None:
                raise PlateError(
                    f"plate map {source}, cell {cell.coordinate}: the formula {cell.value} has no value in the file; "
                    "open it in a spreadsheet and save it, or write the value"
                )
