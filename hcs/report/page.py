"""The pieces that every HTML page of hcs is made of: style, tables, lists; every text is escaped."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape

import pandas as pd

CSS = """
:root{--ink:#1b1b1b;--paper:#fff;--line:#d8d8d8;--soft:#f4f5f6}
@media (prefers-color-scheme:dark){
:root{--ink:#e8e8e8;--paper:#16181a;--line:#3a3d40;--soft:#202326}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:72rem;
margin:2rem auto;padding:0 1rem;overflow-wrap:anywhere}
h1{font-size:1.6rem;margin-bottom:.2rem}h2{font-size:1.15rem;margin-top:2.2rem;border-bottom:1px solid var(--line)}
.scroll{overflow-x:auto;max-height:32rem}table{border-collapse:collapse;font-size:.87rem;width:100%}
th,td{padding:.3rem .6rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:top;
overflow-wrap:anywhere;min-width:3.5rem}
th{position:sticky;top:0;background:var(--soft);overflow-wrap:normal}
td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
figure{margin:1rem 0}figure img{max-width:100%;background:#fff;border-radius:4px}
figcaption{font-size:.85rem;opacity:.8}.lead{font-size:1.05rem}code,pre{font-size:.83rem}
pre{background:var(--soft);padding:.7rem;overflow-x:auto;white-space:pre-wrap}
"""


def provenance_table(provenance: Mapping[str, object]) -> str:
    """A table of label and value; a value that is no plain text or number is shown as JSON."""
    rows = []
    for name, value in provenance.items():
        if isinstance(value, str | int | float):
            rows.append(f"<tr><th>{escape(str(name))}</th><td>{escape(str(value))}</td></tr>")
        else:
            text = json.dumps(value, indent=2, default=str, ensure_ascii=False)
            rows.append(f"<tr><th>{escape(str(name))}</th><td><pre>{escape(text)}</pre></td></tr>")
    return f'<div class="scroll"><table>{"".join(rows)}</table></div>' if rows else "<p>Not recorded.</p>"


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; whole numbers are set to the right, every cell is escaped."""

    def cell(value: object) -> str:
        kind = ' class="n"' if isinstance(value, int) else ""
        return f"<td{kind}>{escape('' if pd.isna(value) else str(value))}</td>"  # type: ignore[call-overload]

    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "".join(f"<tr>{''.join(cell(value) for value in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def bullets(lines: Iterable[str], *, css: str = "") -> str:
    """A list; nothing for no lines."""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<ul class="{css}">{items}</ul>' if items else ""
