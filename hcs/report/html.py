"""The report of one plate as one HTML page that needs nothing else: answers first, then all to check them by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from hcs.report.compounds import HALF_EFFECT, CompoundRow, compound_rows
from hcs.report.embed import asset, json_block, script_element
from hcs.report.findings import dose_text
from hcs.report.page import provenance_table
from hcs.report.style import interval, short
from hcs.report.summary import Answer, answers
from hcs.report.tables import PlateTables

SCRIPTS = (
    "core.js",
    "colours.js",
    "chart.js",
    "plate.js",
    "panel.js",
    "assay.js",
    "doses.js",
    "cycle.js",
    "cells.js",
    "quality.js",
    "time.js",
    "main.js",
)
_MARKS = {"good": "✓ good", "fair": "! look", "poor": "✗ poor", "none": "– open"}
_SECTIONS = (
    ("summary", "Summary"),
    ("notes", "Notes"),
    ("plate", "Plate"),
    ("assay", "Assay quality"),
    ("why", "Why is Z′ not higher"),
    ("doses", "Compounds and doses"),
    ("time", "Over time"),
    ("cycle", "Cell cycle"),
    ("cells", "Single nuclei"),
    ("quality", "Image quality"),
    ("ledger", "Wells"),
    ("made", "How this was made"),
)
_MOST_COMPOUNDS = 40


def render_report(
    tables: PlateTables, data: Mapping[str, object], *, notes: Sequence[str] = (), provenance: Mapping[str, object]
) -> str:
    """The page, from a plate's tables, ``page_data`` of them, notes of the run and where it came from.

    Texts that a user can set are escaped here, and set as text by the scripts. The page's own policy forbids any
    request and any script but the one it comes with.
    """
    parts = {
        **({"notes": _notes(notes)} if notes else {}),
        "plate": '<div class="split"><div id="plate-body"></div><div id="well-panel" aria-live="polite"></div></div>',
        "assay": '<div id="assay-body"></div>',
        "why": '<div id="attribution-body"></div>',
        "doses": '<div id="doses-body"></div>',
        **({"time": '<div id="time-body"></div>'} if data.get("time") else {}),
        "cycle": '<div id="cycle-body"></div>',
        "cells": '<div id="cells-body"></div>',
        "quality": '<div id="quality-body"></div>',
        "ledger": '<div id="ledger-body"></div>',
        "made": provenance_table(provenance),
    }
    titles = dict(_SECTIONS)
    body = _summary(tables) + "".join(
        f'<section id="{name}" aria-labelledby="{name}-title">'
        f'<h2 id="{name}-title">{titles[name]}</h2>{part}</section>\n'
        for name, part in parts.items()
    )
    return page_frame(
        title=f"{tables.plate}: high-content screen",
        heading=tables.plate,
        sub=_subtitle(tables),
        body=body,
        data=data,
        scripts=SCRIPTS,
        links=[(name, title) for name, title in _SECTIONS if name == "summary" or name in parts],
    )


def page_frame(
    *,
    title: str,
    heading: str,
    sub: str,
    body: str,
    data: Mapping[str, object],
    scripts: Sequence[str],
    links: Sequence[tuple[str, str]],
) -> str:
    """Head, style, navigation, ``body``, the data and the scripts as one page; ``body`` is HTML, the rest text."""
    script, digest = script_element(*scripts)
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src '{digest}'"
    navigation = "".join(f'<a href="#{name}">{escape(text)}</a>' for name, text in links)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<title>{escape(short(title, 120))}</title><style>{asset('report.css')}</style></head>\n<body>\n"
        f'<header class="top"><h1>{escape(short(heading, 300))}</h1><p class="sub">{escape(sub)}</p>'
        f'<nav aria-label="Sections">{navigation}</nav></header>\n<main>\n'
        "<noscript><section><p>The charts and tables below the summary need JavaScript, which is off; the same numbers "
        "are in the Parquet files beside this page and the figures in figures/.</p></section></noscript>\n"
        f"{body}</main>\n{json_block(data, name='data')}\n{script}\n</body></html>\n"
    )


def _subtitle(tables: PlateTables) -> str:
    wells, fields = tables.frame("wells"), tables.frame("fields")
    nuclei = int(wells["Count_Nuclei"].sum()) if len(wells) else 0
    parts = [f"{len(wells)} wells", f"{len(fields)} fields", f"{nuclei:,} nuclei"]
    channels = tables.record.channels
    sensor = f"sensor in {short(channels.sensor, 40)}" if channels.sensor else "no sensor"
    parts.append(f"nuclei in {short(channels.nuclei, 40)}, {sensor}")
    started = str((tables.record.times or {}).get("started", ""))[:10]
    return " · ".join([*parts, started] if started else parts)


def _summary(tables: PlateTables) -> str:
    cards = "".join(_card(answer) for answer in answers(tables))
    return f'<section class="answers" id="summary" aria-label="Summary">{cards}</section>\n{_compound_table(tables)}'


def _card(answer: Answer) -> str:
    lines = "".join(f"<li>{escape(line)}</li>" for line in answer.lines)
    chips = "".join(
        f'<div><button type="button" data-well="{escape(well)}" aria-label="show well {escape(well)}">{escape(well)}'
        f"</button><span>{escape(reason)}</span></div>"
        for well, reason in answer.wells.items()
    )
    return (
        f'<article class="answer {answer.mark}"><h2>{escape(answer.question)}</h2>'
        f'<p class="head"><span class="mark {answer.mark}">{_MARKS[answer.mark]}</span>{escape(answer.headline)}</p>'
        + (f"<ul>{lines}</ul>" if lines else "")
        + (f'<div class="chips">{chips}</div>' if chips else "")
        + "</article>"
    )


def _compound_table(tables: PlateTables) -> str:
    """One row a compound: works, from which dose, EC50, effect."""
    rows = compound_rows(tables)
    if not rows:
        return ""
    called = "hit" if not tables.frame("hits").empty else "lower end of Z′ above 0"
    since = f"From dose ({called})"
    half = f"{HALF_EFFECT:.0f} % of positives from"
    heads = (
        "Compound",
        "Works",
        "Toxic from",
        since,
        half,
        "EC50 (interval)",
        "Negatives → best dose",
        "Best dose",
        "Z′ there",
    )
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    body = "".join(f"<tr>{''.join(_compound_cells(row))}</tr>" for row in rows[:_MOST_COMPOUNDS])
    more = f'<p class="more">{len(rows) - _MOST_COMPOUNDS} more below.</p>' if len(rows) > _MOST_COMPOUNDS else ""
    return (
        '<section aria-label="Compounds at a glance"><h2>Compounds at a glance</h2><div class="scroll" tabindex="0" '
        f'role="region" aria-label="compounds"><table id="compound-summary"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>{more}</section>\n"
    )


def _compound_cells(row: CompoundRow) -> list[str]:
    unit = short(row.unit, 16)
    texts = [
        {True: "✓ yes", False: "no", None: "cannot be told"}[row.works],
        "cannot be told" if row.toxic is None else row.toxic or "not toxic",
        dose_text(row.first_dose, unit),
        dose_text(row.half_dose, unit),
        row.ec50 or "–",
        row.effect or "–",
        dose_text(row.best_dose, unit),
        interval(*row.zprime),
    ]
    group = f" · {short(row.group, 40)}" if row.group and row.group != row.compound else ""
    name = short(row.compound or "(unnamed)", 80)
    return [f'<th scope="row">{escape(name + group)}</th>', *(f"<td>{escape(text)}</td>" for text in texts)]


def _notes(notes: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(short(note, 600))}</li>' for note in notes)}</ul>"
