"""`hcs config`: settings shown."""

from __future__ import annotations

from pathlib import Path

import click

from hcs.cli.common import FILE, configuration


@click.group(short_help="Show settings, with their defaults or their schema.")
def config() -> None:
    """Show settings, with their defaults or their schema."""


@config.command()
def schema() -> int:
    """Print the JSON schema of the YAML settings. `x-for` says who needs a setting: every user, or an expert."""
    import json

    from hcs.config import settings_schema

    click.echo(json.dumps(settings_schema(), indent=2))
    return 0


@config.command()
@click.argument("path", type=FILE, required=False)
def show(path: Path | None) -> int:
    """Print all settings: those of PATH, and the defaults of all others."""
    import yaml

    settings = configuration(path).model_dump(mode="json")
    click.echo(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True), nl=False)
    return 0
