"""The readout of Caicedo et al. 2019: fraction of 4N nuclei, image by image."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from hcs.readout.groups import Floats
from hcs.readout.settings import ReadoutSettings
from hcs.readout.wells.nuclei import measured_rows

CAICEDO = "Fraction_4N_Caicedo"


def caicedo_fractions(
    nuclei: pd.DataFrame, content_n: Floats, wells: npt.ArrayLike, settings: ReadoutSettings
) -> Floats:
    """Fraction of 4N nuclei (n_wells,) of ``wells`` (names), the mean over a well's images of each image's fraction.

    ``content_n`` (n_nuclei,) is the DNA content in units of N, by the 2N peak of the plate's negative controls, NaN
    where there is none. Caicedo et al., Cytometry A 95, 952 (2019) align plates on that peak and count nuclei within
    fixed gates: here the 4N gate of ``phase_gates_n``, lower bound included. Images without a measured nucleus do not
    count; a well without one gives NaN. Unlike Fraction_4N, which is fitted, it counts late S and the width of G1 as
    they fall.
    """
    names = pd.Index(np.asarray(wells, dtype=object))
    known = measured_rows(nuclei, settings) & np.isfinite(content_n)
    low, high = settings.phase_gates_n[2:]
    content = content_n[known]
    images = pd.DataFrame(
        {
            "well": nuclei["Metadata_Well"].astype(object).to_numpy()[known],
            "image": nuclei["Metadata_Site"].to_numpy()[known] if "Metadata_Site" in nuclei else 0,
            "four_n": (content >= low) & (content < high),
        }
    )
    fractions = images.groupby(["well", "image"])["four_n"].mean()
    means: Floats = fractions.groupby("well").mean().reindex(names).to_numpy(dtype=np.float64)
    return means
