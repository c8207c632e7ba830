"""What is read of a network of whole cells."""

from __future__ import annotations

import numpy as np

from hcs.segment.territory import OUTSIDE, territory_of


def test_the_territory_is_how_certain_the_boundary_is_where_background_is_not_likelier() -> None:
    background = np.array([[0.9, 0.5, 0.2, 0.0, 0.6]], np.float32)
    interior = np.array([[0.1, 0.25, 0.1, 1.0, 0.0]], np.float32)
    found = territory_of(np.stack([background, interior, 1 - background - interior]))
    np.testing.assert_allclose(found, [[OUTSIDE, 0.0, 0.4, 0.0, OUTSIDE]], atol=1e-6)
    assert found.dtype == np.float32
