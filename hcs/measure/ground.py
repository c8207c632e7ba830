"""Whether a field shows ground without cells, and with it a background; alone, for fields and parts of one ask it."""

from __future__ import annotations

import numpy as np

from hcs.measure.intensity import Floats

_STEEP = 0.007
"""Rise of the darkest block means, relative to their range, from which they are of cells and not of ground."""


def shows_ground(means: Floats) -> bool:
    """Whether the darkest of a channel's block means (n,) are of ground.

    Ground is of one level: where it covers 2 % of a field or more, the 1st and the 2nd percentile of the means differ
    by noise alone, by 0.002 of the range up to the 99.5th or less. In a closed sheet both lie on the slope of the
    cells' own distribution, 0.01 apart or more. A sheet of cells that are all alike cannot be told from ground.
    """
    if means.size < 2:
        return False
    first, second, bright = np.percentile(means, (1.0, 2.0, 99.5))
    return bool(second - first <= _STEEP * (bright - first))
