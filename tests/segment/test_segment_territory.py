"""What is read of a network of whole cells."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from hcs.field.worker import load_segmenter
from hcs.measure.compartments import CellRequest
from hcs.measure.measure import measure_nuclei
from hcs.measure.settings import CellSettings, MeasureSettings
from hcs.plate.keys import FieldKey
from hcs.segment.territory import OUTSIDE, CellNetwork, territory_of
from hcs.simulate.field import simulate_field
from hcs.simulate.plate import lay_out_plate
from hcs.simulate.settings import SimulationSettings
from hcs.store.models import find_model
from hcs.tiles.settings import TileSettings


def test_the_territory_is_how_certain_the_boundary_is_where_background_is_not_likelier() -> None:
    background = np.array([[0.9, 0.5, 0.2, 0.0, 0.6]], np.float32)
    interior = np.array([[0.1, 0.25, 0.1, 1.0, 0.0]], np.float32)
    found = territory_of(np.stack([background, interior, 1 - background - interior]))
    np.testing.assert_allclose(found, [[OUTSIDE, 0.0, 0.4, 0.0, OUTSIDE]], atol=1e-6)
    assert found.dtype == np.float32


def test_the_shipped_model_parts_uneven_cells_better_than_propagation() -> None:
    plate = lay_out_plate(SimulationSettings(wells=4, size_px=448, seed=78, cells="uneven"))
    field = simulate_field(plate, FieldKey(plate.wells[1], 0))
    network = CellNetwork(load_segmenter(find_model("cells"), "cpu", flips=False), Fraction(2, 3))

    def right(territory: NDArray[np.float32] | None) -> float:
        settings = CellSettings(model=None if territory is None else "cells").for_pixels(0.65)
        cells = measure_nuclei(
            field.labels,
            field.image,
            channels=("DNA", "CDK2"),
            dna="DNA",
            sensor="CDK2",
            settings=MeasureSettings(),
            cells=CellRequest(channel="CDK2", settings=settings, territory=territory),
        ).cells
        assert cells is not None
        return float((cells == field.whole_cells)[field.whole_cells > 0].mean())

    by_network = right(network.territory(field.image[1], TileSettings()))
    assert by_network > right(None) + 0.02
    assert by_network > 0.85
