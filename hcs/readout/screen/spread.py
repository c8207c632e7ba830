"""The median absolute deviation as an estimate of a standard deviation, without bias for few values too.

Alone in a file as Z', hits, plate effects and their checks all measure spread by it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
MAD_TO_SD = 1.4826  # 1 / Phi^-1(3/4): makes the median absolute deviation estimate the sigma of a Gaussian
_SMALL = (1.0, 1.0, 1.196, 1.495, 1.363, 1.206, 1.200, 1.140, 1.129, 1.107)


def mad_factor(n: int) -> float:
    """What the median absolute deviation of ``n`` Gaussian values is multiplied by, to be sigma on average.

    1.4826 times the small-sample factor of Croux & Rousseeuw, Computational Statistics 1, 411 (1992): the deviation of
    three wells is a third too small without it.
    """
    return MAD_TO_SD * (_SMALL[n] if n < len(_SMALL) else n / (n - 0.8))


def robust_sd(values: Floats, centre: float | None = None) -> float:
    """Standard deviation estimated by the median absolute deviation of finite values (n,); NaN for none.

    About ``centre``, by default the median; the small-sample factor is for the median, which the values know.
    """
    if not values.size:
        return float("nan")
    middle = float(np.median(values)) if centre is None else centre
    factor = mad_factor(values.size) if centre is None else MAD_TO_SD
    return factor * float(np.median(np.abs(values - middle)))
