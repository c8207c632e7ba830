"""The settings' JSON schema refuses what hcs refuses, and says which settings are for users."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from hcs.config import USER_SETTINGS, Config, parse_config, settings_schema
from hcs.errors import ConfigError


def leaves(part: dict[str, Any], schema: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Dotted key and schema of every setting."""
    for key, value in part["properties"].items():
        name = value.get("$ref", "").rpartition("/")[2]
        if name:
            yield from leaves(schema["$defs"][name], schema, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def sections(data: dict[str, Any], prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Path of the whole and of every section of plain settings."""
    yield prefix
    for key, value in data.items():
        if isinstance(value, dict):
            yield from sections(value, (*prefix, key))


SECTIONS = sorted(sections(Config().model_dump()))


@pytest.mark.parametrize("path", SECTIONS, ids=lambda path: ".".join(path) or "top")
def test_a_misspelt_key_is_refused_by_schema_and_program_alike(path: tuple[str, ...]) -> None:
    data: dict[str, Any] = {}
    inner = data
    for key in path:
        inner[key] = {}
        inner = inner[key]
    validator = jsonschema.Draft202012Validator(settings_schema())
    assert validator.is_valid(data)
    inner["no_such_key"] = 1
    assert not validator.is_valid(data)
    with pytest.raises(ConfigError, match="no_such_key"):
        parse_config(data, source="test")


def test_the_defaults_fit_the_schema() -> None:
    jsonschema.validate(Config().model_dump(mode="json"), settings_schema())


def test_every_setting_says_whom_it_is_for_and_what_it_means() -> None:
    schema = settings_schema()
    found = dict(leaves(schema, schema))
    assert {key for key, value in found.items() if value["x-for"] == "user"} == USER_SETTINGS
    assert all(value["x-for"] in {"user", "expert"} for value in found.values())
    assert [key for key, value in found.items() if not value.get("description")] == []
