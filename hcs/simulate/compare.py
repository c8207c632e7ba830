"""Measured wells against the simulated truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How well a run found what was simulated; wells without nuclei are left out of fractions and ratios."""

    true_nuclei: int
    """Nuclei off the border that do not shine as dead cells, over all wells; at the border a sliver of a nucleus may
    rightly go unseen."""
    found_nuclei: int
    """Nuclei that statistics were made of."""
    true_dead: int
    """Dead cells that shine."""
    found_dead: int
    """Nuclei called dead."""
    true_2n: float
    """Fraction of nuclei in G1, over the ``true_nuclei``."""
    found_2n: float
    true_4n: float
    """Fraction of nuclei in G2 or M."""
    found_4n: float
    ratio_r: float
    """Pearson correlation, over wells, of the mean sensor ratio with the true one."""
    wells: int
    """Wells that the fractions and the correlation are made of."""

    @property
    def count_error(self) -> float:
        """(found − true) / true number of nuclei."""
        return self.found_nuclei / self.true_nuclei - 1.0 if self.true_nuclei else float("nan")

    def lines(self) -> tuple[str, ...]:
        """The comparison in words."""
        dead = f"dead cells     {self.found_dead:,} called dead, {self.true_dead:,} true"
        return (
            f"nuclei         {self.found_nuclei:,} found, {self.true_nuclei:,} true ({self.count_error:+.1%})",
            *([dead] if self.true_dead or self.found_dead else []),
            f"2N fraction    {_points(self.found_2n, self.true_2n)}",
            f"4N fraction    {_points(self.found_4n, self.true_4n)}",
            f"sensor ratio   r = {self.ratio_r:.4f} between measured and true well means (n = {self.wells} wells)",
        )


def _points(found: float, true: float) -> str:
    return f"{found:.3f} found, {true:.3f} true ({100.0 * (found - true):+.1f} points)"


def agreement(measured: pd.DataFrame, truth: pd.DataFrame) -> Agreement:
    """Compare the well table ``measured`` of a run with ``truth`` (see ``truth_wells``), joined by well.

    Fractions are weighted by each well's nuclei, so that both sides describe the same plate.
    """
    both = truth.set_index("well").join(measured.set_index("Metadata_Well"), how="inner")
    known = both.dropna(subset=["mean_ratio", "Mean_Nuclei_Sensor_Ratio", "fraction_g1", "Fraction_G1", "Fraction_G2M"])
    true_count = both["count"] - both["count_bright"]
    true_weight, weight = _floats(true_count[known.index]), _floats(known["Count_Nuclei_Measured"])
    ratios = np.corrcoef(_floats(known["mean_ratio"]), _floats(known["Mean_Nuclei_Sensor_Ratio"]))
    return Agreement(
        true_nuclei=int(true_count.sum()),
        found_nuclei=int(both["Count_Nuclei_Measured"].sum()),
        true_dead=int(both["count_bright_all"].sum()),
        found_dead=int(both["Count_Dead"].sum()),
        true_2n=float(np.average(_floats(known["fraction_g1"]), weights=true_weight)),
        found_2n=float(np.average(_floats(known["Fraction_G1"]), weights=weight)),
        true_4n=float(np.average(_floats(known["fraction_g2m"]), weights=true_weight)),
        found_4n=float(np.average(_floats(known["Fraction_G2M"]), weights=weight)),
        ratio_r=float(ratios[0, 1]),
        wells=len(known),
    )


def _floats(column: pd.Series) -> NDArray[np.float64]:
    return column.to_numpy(dtype=np.float64)
