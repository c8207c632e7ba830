"""Settings: unknown keys and bad values are errors that name them; shipped files are valid."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hcs.config import Config, differences, parse_config
from hcs.errors import ConfigError
from hcs.store.config import read_config
from hcs.train.config import read_train_settings

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def test_nothing_gives_the_defaults() -> None:
    assert parse_config(None, source="x") == Config()
    assert parse_config({}, source="x") == Config()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"tile": {}}, r"my\.yaml: unknown key 'tile'"),
        ({"tiles": {"size": 512}}, r"unknown key 'tiles\.size'"),
        ({"channels": {"dan": "DAPI"}}, r"unknown key 'channels\.dan'"),
        ({"tiles": {"size_px": 5}}, r"tiles\.size_px = 5: a core needs at least 64 px"),
        ({"tiles": {"size_px": "big"}}, r"tiles\.size_px: .*valid integer.*'big'"),
        ({"labels": "nowhere"}, r"labels: .*'plate', 'out' or 'none'.*'nowhere'"),
        ([1, 2], "holds a list, not settings"),
        ({"measure": {"ring_width_px": 0}}, r"measure\.ring_width_px = 0"),
    ],
)
def test_what_is_wrong_is_named(data: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config(data, source="my.yaml")


def test_several_errors_are_all_named() -> None:
    with pytest.raises(ConfigError, match=r"'one'.*'two'"):
        parse_config({"one": 1, "two": 2}, source="x")


def test_a_config_survives_its_own_dump() -> None:
    config = Config().override(dna="DAPI", labels="out")
    assert parse_config(json.loads(json.dumps(config.model_dump())), source="x") == config
    assert config.channels.dna == "DAPI"
    assert config.channels.sensor is None


def test_override_keeps_what_is_not_given() -> None:
    config = parse_config({"model": "accurate", "channels": {"dna": 1}}, source="x")
    assert config.override(model=None, dna=None, sensor="GFP") == parse_config(
        {"model": "accurate", "channels": {"dna": 1, "sensor": "GFP"}}, source="x"
    )


def test_differences_are_dotted_keys() -> None:
    a = {"x": {"y": 1, "z": [1]}, "w": None}
    assert differences(a, {"x": {"y": 2, "z": [1]}, "w": None}) == ["x.y"]
    assert differences(a, {"x": {"y": 1, "z": [2]}}) == ["x.z"]
    assert differences(a, a) == []


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda p: p.name)
def test_shipped_configs_are_valid(path: Path) -> None:
    read_config(path)


@pytest.mark.parametrize("path", sorted((CONFIGS / "train").glob("*.yaml")), ids=lambda p: p.name)
def test_shipped_training_configs_are_valid(path: Path) -> None:
    read_train_settings(path)


def test_the_default_file_says_what_the_defaults_are() -> None:
    text = (CONFIGS / "default.yaml").read_text()
    assert yaml.safe_load(text) == json.loads(Config().model_dump_json())


def test_a_file_that_is_not_yaml_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("model: fast\ntiles: [1, 2\nlabels: out\n")
    with pytest.raises(ConfigError, match=r"bad\.yaml is not YAML at line 3"):
        read_config(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_config(tmp_path / "absent.yaml")


def test_an_unknown_training_key_is_named(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text("stepps: 5\n")
    with pytest.raises(ConfigError, match=r"train\.yaml: unknown key 'stepps'; did you mean steps\?"):
        read_train_settings(path)
    path.write_text("qqq: 5\n")
    with pytest.raises(ConfigError, match=r"unknown key 'qqq'; there are network, widths, .*crop_px"):
        read_train_settings(path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("steps: 30", "steps = 30: it must exceed warmup_steps, 200"),
        ("scale: [2, 1]", "scale = [2.0, 1.0]: give two magnifications above 0, the smaller one first"),
        ("wide_scale: [0, 1]", "wide_scale = [0.0, 1.0]: give two magnifications above 0, the smaller one first"),
        ("learning_rate: .nan", "learning_rate = nan: a finite number from 0 on is needed"),
        ("crop_px: 0", "crop_px = 0: it must be at least 1"),
        ("widths: []", "widths = []: give the channels of each resolution, each 1 or more"),
        ("averaging: 1", "averaging = 1.0: a decay from 0 to below 1 is needed"),
        ("touch_weight: -1", "touch_weight = -1.0: it must be at least 0"),
        ("dimmed: 2", "dimmed = 2.0: a fraction from 0 to 1 is needed"),
    ],
)
def test_a_training_setting_out_of_range_is_said_in_one_sentence(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "train.yaml"
    path.write_text(line + "\n")
    with pytest.raises(ConfigError) as caught:
        read_train_settings(path)
    assert str(caught.value) == f"{path}: {message}"


@pytest.mark.parametrize("module", ["hcs", "hcs.cli"])
def test_importing_is_light(module: str) -> None:
    """Neither torch, dask, numba nor pandas is loaded by the package or by the command line's help."""
    code = f"import sys, {module}; print([m for m in ('torch', 'dask', 'numba', 'pandas', 'zarr') if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
