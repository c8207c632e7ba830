"""What a notebook user types first: the public functions, with the examples of their documentation executed."""

from __future__ import annotations

import doctest
from pathlib import Path

import numpy as np
import pytest

import hcs
from hcs.commands.simulate import write_simulation
from hcs.errors import FieldError, HcsError
from hcs.simulate.settings import SimulationSettings


def test_the_examples_of_the_documentation_are_right() -> None:
    found = doctest.testmod(hcs)
    assert (found.failed, found.attempted > 8) == (0, True)


def test_nothing_else_is_public() -> None:
    assert set(hcs.__all__) == {
        *("process_plate", "open_results", "segment_image", "measure_nuclei", "zprime", "ZPrime"),
    }
    assert all(hasattr(hcs, name) for name in hcs.__all__)


def test_a_plate_from_python_is_a_plate_from_the_command_line(tmp_path: Path) -> None:
    files = write_simulation(tmp_path / "p.zarr", SimulationSettings(wells=4, size_px=128, density=250.0, seed=3))
    results = hcs.process_plate(
        files.plate, tmp_path / "out", plate_map=files.plate_map, settings={"labels": "out"}, workers=1
    )
    wells = results.wells()
    assert list(wells["Status"]) == ["ok"] * 4
    assert int(wells["Count_Nuclei"].sum()) == len(hcs.open_results(tmp_path / "out").nuclei()) > 0


@pytest.mark.parametrize("image", [np.zeros((3, 8, 8)), np.full((8, 8), np.nan)])
def test_what_is_no_plane_is_refused(image: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> None:
    with pytest.raises(ValueError, match="plane"):
        hcs.segment_image(image)


def test_an_image_of_one_value_is_refused() -> None:
    with pytest.raises(FieldError, match="not recorded"):
        hcs.segment_image(np.full((64, 64), 7, np.uint16))


def test_a_missing_plate_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(HcsError, match=r"nowhere\.zarr"):
        hcs.process_plate(tmp_path / "nowhere.zarr", tmp_path / "out")
    assert not (tmp_path / "out").exists()
