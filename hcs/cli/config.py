"""`hcs config`: settings shown."""

from __future__ import annotations

from pathlib import Path

import click

from hcs.cli.common import FILE, configuration


@click.group(short_help="Show settings: their schema, or all with their defaults.")
def config() -> None:
    """Show settings: their schema, or a file with all defaults filled in."""


@config.command()
def schema() -> int:
    """Print the JSON schema of the YAML settings; ``x-for`` says whether a setting is for users or for experts."""
    import json

    from hcs.config import settings_schema

    click.echo(json.dumps(settings_schema(), indent=2))
    return 0


@config.command()
@click.argument("path", type=FILE, required=False)
def show(path: Path | None) -> int:
    """Print the settings of PATH, or the defaults, with every key filled in."""
    import yaml

    settings = configuration(path).model_dump(mode="json")
    click.echo(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True), nl=False)
    return 0
