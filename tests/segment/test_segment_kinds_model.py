"""The shipped model `kinds` on simulated nuclei: what they are, by whichever arithmetic. Alone in a file: its field has
nuclei of every kind."""

from __future__ import annotations

import numpy as np

from hcs.field.worker import load_segmenter
from hcs.segment.predict import tune_cpu
from hcs.segment.settings import InstanceSettings
from hcs.simulate.field import simulate_field
from hcs.simulate.plate import lay_out_plate
from hcs.simulate.settings import SimulationSettings
from hcs.store.models import find_model
from hcs.tiles.settings import TileSettings
from hcs.train.augment import Sample
from hcs.train.score import kinds_found

SETTINGS = SimulationSettings(wells=24, size_px=384, seed=5001, dead_brightness=(2.0, 10.0))
"""A plate that no training saw."""


def test_simulated_nuclei_are_of_the_kind_that_they_are() -> None:
    tune_cpu(1)
    segmenter = load_segmenter(find_model("kinds"), "cpu", flips=False)
    kinds = segmenter.recipe.kinds
    assert kinds == ("interphase", "mitotic", "apoptotic")
    planned = lay_out_plate(SETTINGS)
    taken = np.zeros((3, 3), np.int64)
    for key in planned.keys[::2]:
        field = simulate_field(planned, key)
        of_label = np.select([field.cells["dead"], field.cells["mitotic"]], [3, 2], 1)
        of_label[field.cells["touches_border"]] = 0
        plane = np.concatenate([[0], of_label]).astype(np.uint8)[field.labels]
        seen = segmenter.probabilities(segmenter.prepare(field.image[0]), TileSettings())
        planes = segmenter.recipe.kind_planes(seen)
        assert planes is not None
        labels = field.labels.astype(np.int32)
        sample = Sample(np.empty((0, 0), np.float32), labels, np.zeros(labels.shape, np.bool_), kinds=plane)
        true, found, _ = kinds_found(sample, segmenter.labels(seen, InstanceSettings()), planes)
        np.add.at(taken, (true, found), 1)
    right = np.diag(taken) / taken.sum(axis=1)
    assert taken.sum() > 400
    assert np.trace(taken) / taken.sum() > 0.95, taken
    assert (right > 0.7).all(), taken
