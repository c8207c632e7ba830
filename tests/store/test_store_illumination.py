"""The illumination on disk: what is written is read, and what cannot be used is refused in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hcs.errors import ConfigError
from hcs.measure.illumination import ChannelLight
from hcs.store.illumination import illumination_hash, illumination_path, read_illumination, write_illumination


def a_light(seed: int = 0) -> ChannelLight:
    rng = np.random.default_rng(seed)
    flat = rng.uniform(0.5, 1.5, (6, 8)).astype(np.float32)
    return ChannelLight(
        flat=flat / flat.mean(), background=rng.uniform(90, 110, (6, 8)).astype(np.float32), fields=42, error=0.004
    )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    plain = ChannelLight(
        flat=np.ones((2, 3), np.float32), background=np.zeros((2, 3), np.float32), fields=5, reason="no"
    )
    lights = {"DNA": a_light(), "CDK2 / DHB": plain}
    path = illumination_path(tmp_path)
    write_illumination(path, lights)
    assert path == tmp_path / "illumination" / "flatfield.npz"
    found = read_illumination(path, ("DNA", "CDK2 / DHB"))
    for name, light in lights.items():
        np.testing.assert_array_equal(found[name].flat, light.flat)
        np.testing.assert_array_equal(found[name].background, light.background)
        assert found[name].flat.dtype == found[name].background.dtype == np.float32
        assert (found[name].fields, found[name].reason) == (light.fields, light.reason)
    assert found["DNA"].error == 0.004
    assert np.isnan(found["CDK2 / DHB"].error)
    assert illumination_hash(found) == illumination_hash(lights)


def test_the_hash_is_of_the_correction() -> None:
    one = {"A": a_light(1), "B": a_light(2)}
    assert illumination_hash(one) == illumination_hash(dict(reversed(one.items())))
    assert illumination_hash(one) != illumination_hash({"A": a_light(2), "B": a_light(1)})


def test_somebody_elses_file_is_brought_to_mean_one(tmp_path: Path) -> None:
    flat = np.linspace(100, 300, 20).reshape(4, 5)
    np.savez(tmp_path / "own.npz", flat_DNA=flat, background_DNA=97)
    found = read_illumination(tmp_path / "own.npz", ("DNA",))["DNA"]
    np.testing.assert_allclose(found.flat, flat / flat.mean(), rtol=1e-6)
    np.testing.assert_array_equal(found.background, np.full((4, 5), 97, np.float32))


@pytest.mark.parametrize(
    ("arrays", "why"),
    [
        ({"flat_DNA": np.ones((2, 2))}, "no background_DNA"),
        ({"background_DNA": 3}, "no flat_DNA"),
        ({"flat_DNA": np.zeros((2, 2)), "background_DNA": 0}, "numbers above 0"),
        ({"flat_DNA": np.ones(4), "background_DNA": 0}, "2-D"),
        ({"flat_DNA": np.ones((2, 2)), "background_DNA": np.nan}, "no numbers"),
        ({"flat_DNA": np.ones((2, 2)), "background_DNA": np.ones((3, 3))}, "broadcast"),
        ({"flat_DNA": np.array([["a"]]), "background_DNA": 0}, "cannot be used"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, arrays: dict[str, object], why: str) -> None:
    np.savez(tmp_path / "bad.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=why):
        read_illumination(tmp_path / "bad.npz", ("DNA",))


def test_no_file_and_no_npz_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="absent"):
        read_illumination(tmp_path / "absent.npz", ("DNA",))
    (tmp_path / "text.npz").write_text("flat: 1")
    with pytest.raises(ConfigError, match="cannot be used"):
        read_illumination(tmp_path / "text.npz", ("DNA",))
    np.save(tmp_path / "one.npy", np.ones((3, 3)))
    with pytest.raises(ConfigError, match="cannot be used"):
        read_illumination(tmp_path / "one.npy", ("DNA",))
