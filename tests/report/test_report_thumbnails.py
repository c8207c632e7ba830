"""Small pictures: what is looked up or found the quick way is what the plain way gives."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import find_objects

from hcs.report.embed import plain, table_data
from hcs.report.thumbnails import Contrast, _boxes


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_greys_that_are_looked_up_are_those_that_are_calculated(dtype: type[np.unsignedinteger]) -> None:
    values = np.arange(np.iinfo(dtype).max + 1).astype(dtype).reshape(16, -1)
    for black, white in ((3.0, 187.25), (0.1, 40000.0), (5.0, 5.0)):
        found = Contrast(black, white).grey(values)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, Contrast(black, white).grey(values.astype(np.int64)))


def test_boxes_of_nuclei_are_those_of_scipy() -> None:
    rng = np.random.default_rng(4)
    labels = np.kron(rng.integers(0, 40, (9, 7)), np.ones((5, 6), int)).astype(np.uint32)
    labels[20:, 3:11] = 77
    for image in (
        labels,
        labels[4:31, 5:40],
        labels[:, ::2],
        np.zeros((4, 3), np.uint32),
        np.full((3, 4), 2, np.uint16),
    ):
        boxes = enumerate(find_objects(image.astype(np.int32)), start=1)
        assert list(_boxes(image)) == [(label, box) for label, box in boxes if box is not None]


def test_a_column_is_embedded_as_each_of_its_cells() -> None:
    frame = pd.DataFrame({
        "whole": [1, 2, 3],
        "real": [0.5, 1e300, -2.0],
        "holes": [0.5, np.nan, np.inf],
        "flag": [True, False, True],
        "text": ["a", None, "é" * 500],
        "perhaps": pd.array([1, None, 3], dtype="Int64"),
        "when": pd.to_datetime(["2026-11-30", None, "2026-12-01"]),
    })  # fmt: skip
    columns = table_data(frame)["columns"]
    assert columns == {name: [plain(value) for value in frame[name].tolist()] for name in frame}
