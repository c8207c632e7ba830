"""Z' of all readouts together: a linear discriminant of the controls, judged on wells it was not made from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from hcs.readout.columns import as_table
from hcs.readout.groups import Floats, control_groups, numeric_readouts, references, values_of, with_group
from hcs.readout.screen.assay_columns import DISCRIMINANT_COLUMNS
from hcs.readout.screen.zprime import compare_wells
from hcs.readout.settings import ReadoutSettings

_MOST_FOLDS = 40
_LEADING = 5
_ALIKE = 0.7  # correlation of near-duplicates; ten wells know it to about 0.15


@dataclass(frozen=True, slots=True)
class Discriminant:
    """Direction ``weights`` (p,) on standardised readouts, and how to get there from raw values (n, p)."""

    centre: Floats
    scale: Floats
    weights: Floats
    shrinkage: float

    def score(self, values: Floats) -> Floats:
        """Scores (n,) of wells (n, p): on average 0 for negative and 1 for positive wells it was made from."""
        scores: Floats = (values - self.centre) / self.scale @ self.weights
        return scores


def fit_discriminant(values: Floats, positive: npt.NDArray[np.bool_]) -> Discriminant:
    """Linear discriminant of wells (n, p) by their role (n,), with a shrunken covariance.

    Readouts are standardised by the SD within the roles. Near-duplicates are averaged first (see ``_merged``): of 78
    readouts that say one thing, the differences are noise, and a dozen wells make a rule of that. The covariance within
    the roles is then shrunk towards the unit matrix as much as Ledoit & Wolf (J. Multivar. Anal. 88, 365, 2004)
    estimate from these wells, so that it can be inverted with more readouts than wells.
    """
    means = np.stack([values[~positive].mean(axis=0), values[positive].mean(axis=0)])
    within = values - means[positive.astype(np.intp)]
    scale = np.sqrt((within**2).sum(axis=0) / (len(values) - 2))
    scale = np.where(scale > 0, scale, np.inf)  # a readout without spread in these wells has no say
    merge = _merged(within / scale, (values - values.mean(axis=0)) / scale)
    left, step = within / scale @ merge, (means[1] - means[0]) / scale @ merge
    size = np.sqrt((left**2).sum(axis=0) / (len(values) - 2))
    size = np.where(size > 0, size, np.inf)
    chosen, shrinkage = _solve_shrunken(left / size, step / size)
    weights = merge @ (chosen / size)
    length = float(weights @ ((means[1] - means[0]) / scale))
    weights = weights / length if length > 0 else weights
    return Discriminant(means[0], scale, weights, shrinkage)


def _merged(within: Floats, total: Floats) -> Floats:
    """Averages (p, c) that near-duplicates among standardised readouts are replaced by, from (n, p) each.

    Two readouts are near-duplicates where they correlate by 0.7 or more, with one sign, both within the roles and over
    all wells: readouts that share their noise but not the effect are not, as their difference tells the roles apart.
    """
    alike = np.minimum(*(np.abs(r) for r in (_correlations(within), _correlations(total))))
    sign = np.sign(_correlations(total))
    alike = np.where(sign == np.sign(_correlations(within)), alike, 0.0)
    free = np.ones(len(alike), bool)
    columns = []
    for leader in np.argsort(-alike.sum(axis=1), kind="stable"):
        if free[leader]:
            members = free & (alike[leader] >= _ALIKE)
            members[leader] = True
            free &= ~members
            columns.append(np.where(members, np.where(members & (sign[leader] < 0), -1.0, 1.0), 0.0) / members.sum())
    return np.column_stack(columns)


def _correlations(values: Floats) -> Floats:
    """Correlations (p, p) of columns (n, p); 0 with a column that does not vary."""
    centred = values - values.mean(axis=0)
    length = np.sqrt((centred**2).sum(axis=0))
    unit = np.divide(centred, length, out=np.zeros_like(centred), where=length > 0)
    product: Floats = unit.T @ unit
    return product


def _solve_shrunken(centred: Floats, step: Floats) -> tuple[Floats, float]:
    """Inverse of the shrunken covariance of centred rows (n, p) times ``step`` (p,), and the weight of its target.

    The target is the mean variance times the unit matrix. By singular values, so that no (p, p) matrix is made.
    """
    n, p = centred.shape
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    variances = singular**2 / n
    target = float(variances.sum()) / p
    distance = float((variances**2).sum()) / p - target**2
    noise = float(((centred**2).sum(axis=1) ** 2).sum() / n - (variances**2).sum()) / (n * p)
    share = min(noise / distance, 1.0) if distance > 0 else 1.0
    floor = share * target + 1e-9 * max(target, 1.0)
    along = axes @ step
    return axes.T @ (along / ((1 - share) * variances + floor)) + (step - axes.T @ along) / floor, share


def held_out_scores(values: Floats, positive: npt.NDArray[np.bool_]) -> tuple[Floats, float]:
    """Scores (n,) of wells (n, p), each by a discriminant made without it, and the median shrinkage.

    Wells are left out one by one; beyond 40 controls in 40 parts, each with the roles' shares. Everything, the scale
    included, is learned from the other wells alone.
    """
    order = np.concatenate([np.flatnonzero(positive), np.flatnonzero(~positive)])
    folds = np.empty(len(values), dtype=np.intp)
    folds[order] = np.arange(len(values)) % _MOST_FOLDS
    scores = np.empty(len(values))
    shrinkage = []
    for fold in range(int(folds.max()) + 1):
        out = folds == fold
        fitted = fit_discriminant(values[~out], positive[~out])
        scores[out] = fitted.score(values[out])
        shrinkage.append(fitted.shrinkage)
    return scores, float(np.median(shrinkage))


def discriminate(wells: pd.DataFrame, settings: ReadoutSettings) -> pd.DataFrame:
    """Discriminant table: one row per group of controls, of columns ``DISCRIMINANT_COLUMNS``.

    All numeric readouts take part that every control well has and that differ within a role. The statistics are of the
    held-out scores, so that readouts which are noise cannot raise them; NaN with the reason where the held-out
    positives do not score above the held-out negatives. One well more than ``min_wells`` of each role is needed.
    """
    grouped = with_group(wells)
    plate = str(wells["Metadata_Plate"].iloc[0]) if len(wells) else ""
    rows = [
        {"Metadata_Plate": plate, "Group": group} | _row(*references(grouped, group), settings)
        for group in control_groups(grouped)
    ]
    return as_table(rows, DISCRIMINANT_COLUMNS)


def _row(positives: pd.DataFrame, negatives: pd.DataFrame, settings: ReadoutSettings) -> dict[str, object]:
    members = pd.concat([positives, negatives])
    with_nuclei = members[members["Count_Nuclei_Measured"] > 0] if "Count_Nuclei_Measured" in members else members
    positive = np.isin(with_nuclei.index, positives.index)
    n_p, n_n = int(positive.sum()), int((~positive).sum())
    row: dict[str, object] = {"Count_Positive": n_p, "Count_Negative": n_n, "Count_Readouts": 0}
    if min(n_p, n_n) <= settings.min_wells:
        few = f"{n_p} positive and {n_n} negative wells with nuclei, at least {settings.min_wells + 1} of each needed"
        return row | {"Reason": few}
    names, values = _usable(with_nuclei, positive)
    row |= {"Count_Readouts": len(names), "Readouts": ";".join(names)}
    if not names:
        return row | {"Reason": "no readout that every control well has and that differs within a role"}
    scores, shrinkage = held_out_scores(values, positive)
    weights = np.abs(fit_discriminant(values, positive).weights)
    leading = ";".join(names[i] for i in np.argsort(-weights, kind="stable")[:_LEADING])
    row |= {"Shrinkage": shrinkage, "Leading": leading}
    if not scores[positive].mean() > scores[~positive].mean():
        return row | {"Reason": "held-out positive wells do not score above held-out negative wells"}
    separation = compare_wells(scores[positive], scores[~positive], settings=settings)
    return row | {
        "ZPrime": separation.zprime.value,
        "RobustZPrime": separation.robust_zprime.value,
        "SSMD": separation.ssmd.value,
        "Reason": separation.reason,
    }


def _usable(members: pd.DataFrame, positive: npt.NDArray[np.bool_]) -> tuple[list[str], Floats]:
    """Names and values (n, p) of the readouts that all wells have and that vary within a role."""
    names = numeric_readouts(members)
    values = np.column_stack([values_of(members, name) for name in names]) if names else np.empty((len(members), 0))
    spread = np.sqrt(values[positive].var(axis=0) + values[~positive].var(axis=0))
    usable = spread > 1e-9 * np.abs(values).max(axis=0, initial=0.0)  # False for NaN
    return [name for name, good in zip(names, usable, strict=True) if good], values[:, usable]
