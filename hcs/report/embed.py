"""Data, scripts and styles for the inside of an HTML page, such that nothing in them can end the page's own tags."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from functools import lru_cache
from importlib import resources

import numpy as np
import numpy.typing as npt
import pandas as pd

LONGEST_TEXT = 240
"""Characters of a text that are embedded; what is longer ends in an ellipsis."""

_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def json_block(data: object, *, name: str) -> str:
    """Plain data as a JSON element that scripts read by its id ``name``.

    Only ASCII is written, and <, > and & as escapes, so that no text (``</script>``, U+2028) ends it. ValueError for
    NaN and infinite numbers, which JSON does not know.
    """
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character, escaped in _ESCAPES.items():
        text = text.replace(character, escaped)
    return f'<script type="application/json" id="{name}">{text}</script>'


def table_data(frame: pd.DataFrame) -> dict[str, object]:
    """A frame by column, with every number as it is: ``{"rows": n, "columns": {name: [value, …]}}``.

    NaN and missing become null, infinite numbers the texts "inf" and "-inf", long texts are cut.
    """
    return {"rows": len(frame), "columns": {str(name): _plain_column(frame[name]) for name in frame.columns}}


def _plain_column(column: pd.Series) -> list[object]:
    """The cells as `plain` has them; those that numpy holds, and that are all numbers, are so already."""
    values: list[object] = column.tolist()
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iufb" and np.isfinite(column.to_numpy()).all():
        return values
    return [plain(value) for value in values]


def plain(value: object) -> object:
    """A cell as JSON has it; see ``table_data``."""
    if isinstance(value, bool | int) or value is None:
        return value
    if isinstance(value, float):
        if math.isinf(value):
            return "inf" if value > 0 else "-inf"
        return None if math.isnan(value) else value
    if value is pd.NA or value is pd.NaT:
        return None
    text = str(value)
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"


def float32_text(values: npt.ArrayLike) -> str:
    """Numbers (n,) as base64 of little-endian 32-bit floats; NaN stays NaN."""
    return base64.b64encode(np.asarray(values, dtype="<f4").tobytes()).decode("ascii")


def uint16_text(values: npt.ArrayLike) -> str:
    """Whole numbers (n,) from 0 to 65,535 as base64 of little-endian 16-bit numbers."""
    return base64.b64encode(np.asarray(values, dtype="<u2").tobytes()).decode("ascii")


def data_uri(content: bytes, kind: str) -> str:
    """The content of an image file of MIME type ``image/kind`` as an address that needs no other file."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


@lru_cache(maxsize=32)
def asset(name: str) -> str:
    """A script or style sheet that comes with the package."""
    return resources.files("hcs.report").joinpath("assets", name).read_text(encoding="utf-8")


def script_element(*names: str) -> tuple[str, str]:
    """The named scripts as one element in a scope of its own, and the hash by which a policy admits it."""
    code = '"use strict";(()=>{\n' + "\n".join(asset(name) for name in names) + "\n})();"
    digest = base64.b64encode(hashlib.sha256(code.encode("utf-8")).digest()).decode("ascii")
    return f"<script>{code}</script>", f"sha256-{digest}"
