"""What a network of whole cells says of a field, as the ground on which nuclei are grown to cells.

Alone in a file: its network finds no nuclei, and what is read of it are not labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hcs.clock import Stopwatch
from hcs.segment.normalise import Normalisation
from hcs.segment.segmenter import Segmenter
from hcs.tiles.settings import TileSettings

OUTSIDE = -1.0
_HALF = np.float32(0.5)


@dataclass(frozen=True, slots=True)
class CellNetwork:
    """A network of whole cells, and the scale at which it sees every field of a plate."""

    segmenter: Segmenter
    scale: Fraction

    def territory(
        self,
        image: NDArray[Any],
        tiles: TileSettings,
        fill: NDArray[np.bool_] | None = None,
        clock: Stopwatch | None = None,
    ) -> NDArray[np.float32]:
        """Field (Y, X) of any real dtype → where cells are and part, as `territory_of` has it; ``fill`` (Y, X), which
        was not recorded, is shown as background."""
        prepared = self.segmenter.prepare(image, fill)
        return territory_of(self.segmenter.probabilities(prepared, tiles, self.scale, clock))

    def territory_in_block(
        self, image: NDArray[Any], known: Normalisation, part: tuple[slice, slice], tiles: TileSettings
    ) -> NDArray[np.float32]:
        """As `territory`, of a ``part`` of a block (Y, X) of a field whose normalisation is known."""
        prepared = self.segmenter.recipe.preprocess.in_block(image, known)
        seen = self.segmenter.probabilities(prepared, tiles, self.scale)
        return territory_of(np.ascontiguousarray(seen[(slice(None), *part)]))


def territory_of(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities (3, Y, X) of background, interior and boundary → (Y, X): `OUTSIDE` where background is likelier
    than the cell; elsewhere how certain the boundary is, from 0, where it has half of the probability or less, to 1."""
    background, _, boundary = probabilities
    toll: NDArray[np.float32] = np.maximum(np.float32(2.0) * boundary - np.float32(1.0), np.float32(0.0))
    toll[background > _HALF] = OUTSIDE
    return toll
