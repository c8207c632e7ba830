"""Reference pages made from the code: settings from their schema, columns from the column dictionaries, commands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click
import mkdocs_gen_files

from hcs.cli import commands
from hcs.columns import KEY_COLUMNS, TIME_COLUMNS, Column
from hcs.config import Config, settings_schema
from hcs.measure.columns import column_dictionary
from hcs.readout.live.columns import LIVE_WELL_COLUMNS
from hcs.readout.tables import TABLES, fixed_columns
from hcs.tracks.columns import NUCLEUS_COLUMNS


def commands_page() -> str:
    """Every command with its arguments and options, as ``--help`` shows them."""
    parts = ["# Commands\n\nMade from the code: what `hcs COMMAND --help` prints.\n"]
    for name, command in commands.commands.items():
        context = click.Context(command, info_name=f"hcs {name}", max_content_width=100)
        parts.append(f"## hcs {name}\n\n```text\n{command.get_help(context)}\n```\n")
        for sub, inner in getattr(command, "commands", {}).items():
            below = click.Context(inner, info_name=f"hcs {name} {sub}", max_content_width=100)
            parts.append(f"### hcs {name} {sub}\n\n```text\n{inner.get_help(below)}\n```\n")
    return "\n".join(parts)


def settings_page() -> str:
    """Every setting with its type, default and meaning; those for users first."""
    schema = settings_schema()
    parts = [
        "# Settings\n\nMade from the code. A YAML file has these keys. An unknown key is an error that names the key. "
        "`hcs config show` prints all keys with their defaults, `hcs config schema` the JSON schema for an editor.\n",
        "\n## For every user\n",
        table(schema, "user"),
        "\n## For experts\n\nThe defaults were chosen on training images or are explained on the pages of this site. "
        "Change them if you know why.\n",
        table(schema, "expert"),
    ]
    return "\n".join(parts)


def table(schema: dict[str, Any], reader: str) -> str:
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for key, value in leaves(schema, schema, Config().model_dump(mode="json")):
        if value["schema"]["x-for"] == reader:
            cells = (f"`{key}`", kind(value["schema"]), f"`{value['default']}`", value["schema"].get("description", ""))
            rows.append("| " + " | ".join(plain(cell) for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def leaves(
    part: dict[str, Any], schema: dict[str, Any], defaults: dict[str, Any], prefix: str = ""
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Dotted key of every setting, with its schema and default."""
    for key, value in part["properties"].items():
        name = value.get("$ref", "").rpartition("/")[2]
        if name:
            yield from leaves(schema["$defs"][name], schema, defaults[key], f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", {"schema": value, "default": defaults[key]}


def plain(cell: str) -> str:
    """A text for one cell of a table: on one line, with nothing that Markdown or HTML takes for its own."""
    return cell.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def kind(value: dict[str, Any]) -> str:
    """Type of a setting in words."""
    if "enum" in value:
        return ", ".join(f"`{choice}`" for choice in value["enum"])
    if "const" in value:
        return f"`{value['const']}`"
    if "anyOf" in value:
        return " or ".join(kind(choice) for choice in value["anyOf"])
    return {"null": "nothing", "array": "list"}.get(value.get("type", ""), value.get("type", ""))


def columns_page() -> str:
    """Every column with unit, definition and source, of a plate with a DNA stain and a sensor."""
    channels = ("DNA", "CDK2")
    plain_columns = column_dictionary(channels, *channels)
    tables = {
        "nuclei": (*KEY_COLUMNS, *plain_columns),
        "nuclei, with whole cells": tuple(
            c for c in column_dictionary(channels, *channels, "CDK2") if c not in plain_columns
        ),
        "nuclei, with micronuclei": tuple(
            c for c in column_dictionary(channels, *channels, micronuclei=True) if c not in plain_columns
        ),
        "nuclei, of a plate with time": (*TIME_COLUMNS, *NUCLEUS_COLUMNS),
        **fixed_columns(timed=False),
        "wells, of a plate with time": LIVE_WELL_COLUMNS,
        **{f"{name}, of a plate with time": columns for name, columns in fixed_columns(timed=True).items()},
    }
    parts = [
        "# Columns\n\nMade from the code, for a plate with the channels `DNA` and `CDK2` (the sensor). `columns.csv` "
        "in your results has the same for your own channels, and the columns of `wells` and `fields`: means and "
        "medians of the columns of `nuclei`, and the quality of each channel's image.\n"
    ]
    for name, columns in tables.items():
        about = TABLES[name.partition(",")[0]]
        parts.append(f"## {name}\n\n`{about.file}`: {about.rows}\n")
        parts.append("| column | type | unit | definition | source |\n|---|---|---|---|---|")
        parts += [row(column) for column in columns]
        parts.append("")
    return "\n".join(parts)


def row(column: Column) -> str:
    cells = (f"`{column.name}`", column.dtype, column.unit, column.definition, column.source)
    return "| " + " | ".join(plain(cell) for cell in cells) + " |"


for path, text in (("commands", commands_page()), ("settings", settings_page()), ("columns", columns_page())):
    with mkdocs_gen_files.open(f"reference/{path}.md", "w") as page:
        page.write(text)
