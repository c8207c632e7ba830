"""Why a Z' is low: what it would be without an effect of position, cell count or image quality, or without a well."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import fdtrc

from hcs.readout.columns import as_table
from hcs.readout.groups import Floats, absence, control_groups, references, values_of, with_group
from hcs.readout.screen.assay_columns import ATTRIBUTION_COLUMNS
from hcs.readout.screen.causes import CAUSES, Covariate, covariates_of
from hcs.readout.screen.zprime import compare_wells
from hcs.readout.settings import ReadoutSettings

_MIN_FREEDOM = 3  # residual degrees of freedom; with fewer the spread left over is a guess
_MOST_WELLS = 3  # single wells listed, of those whose leaving out raises Z' most
_PLATES = 1000  # simulated plates without an outlier that a well's gain is compared with


@dataclass(frozen=True, slots=True)
class _Controls:
    """Values (n,) of the control wells, which of them are positive, and their names."""

    values: Floats
    positive: npt.NDArray[np.bool_]
    wells: npt.NDArray[np.object_]

    def only(self, chosen: npt.NDArray[np.bool_]) -> _Controls:
        return _Controls(self.values[chosen], self.positive[chosen], self.wells[chosen])

    @property
    def counts(self) -> dict[str, object]:
        n = int(self.positive.sum())
        return {"Count_Positive": n, "Count_Negative": len(self.positive) - n}


def attribute(wells: pd.DataFrame, settings: ReadoutSettings, *, quality: pd.DataFrame | None = None) -> pd.DataFrame:
    """Attribution table: per configured readout and group of controls, a row per cause (see ``ATTRIBUTION_COLUMNS``).

    A covariate's effect is a straight line (or a shift per row, per column), one for both roles, fitted within the
    roles, so that it cannot explain the difference of the controls: their means stay. The spread left over is divided
    by the degrees of freedom left over, so that a cause that does nothing raises Z' by next to nothing on average. A
    single well is left out; the three that gain most are listed. Undefined Z', a cause that does not differ between
    wells of a role, or too few wells for the fit give NaN with the reason. ``quality`` is the field table with its
    Quality_ columns.
    """
    grouped = with_group(wells)
    plate = str(wells["Metadata_Plate"].iloc[0]) if len(wells) else ""
    rows: list[dict[str, object]] = []
    for group in control_groups(grouped):
        positive, negative = references(grouped, group)
        members = pd.concat([positive, negative])
        covariates = covariates_of(members, quality)
        for readout in settings.readouts:
            controls = _Controls(
                values_of(members, readout),
                np.arange(len(members)) < len(positive),
                members["Metadata_Well"].to_numpy(dtype=object),
            )
            head = {"Metadata_Plate": plate, "Readout": readout, "Group": group}
            rows += [head | row for row in _causes(controls, covariates, absence(grouped, readout), settings)]
    return as_table(rows, ATTRIBUTION_COLUMNS)


def _causes(
    controls: _Controls, covariates: list[Covariate], absent: str, settings: ReadoutSettings
) -> Iterator[dict[str, object]]:
    known = np.isfinite(controls.values)
    controls = controls.only(known)
    values, positive = controls.values, controls.positive
    undefined = absent or compare_wells(values[positive], values[~positive], settings=settings).zprime.reason
    if undefined:
        for cause in (*CAUSES, "well"):
            yield {"Cause": cause, "Detail": "", "Count_WellsRemoved": 0, "Reason": undefined} | controls.counts
        return
    for covariate in covariates:
        yield _without_covariate(controls, covariate, covariate.numbers[known], settings)
    yield from _without_wells(controls, settings)


def _without_covariate(
    controls: _Controls, covariate: Covariate, numbers: Floats, settings: ReadoutSettings
) -> dict[str, object]:
    """The row of one covariate ``numbers`` (n, k)."""
    detail = covariate.names[0] if len(covariate.names) == 1 and covariate.cause not in CAUSES[:4] else ""
    row: dict[str, object] = {"Cause": covariate.cause, "Detail": detail, "Count_WellsRemoved": 0}
    whole = np.isfinite(numbers).all(axis=1)
    controls, numbers = controls.only(np.asarray(whole)), numbers[whole]
    row |= controls.counts
    n_p, n = int(controls.positive.sum()), len(controls.values)
    if covariate.reason:
        return row | {"Reason": covariate.reason}
    if min(n_p, n - n_p) < settings.min_wells:
        few = f"{n_p} positive and {n - n_p} negative wells have a value of it, at least {settings.min_wells} needed"
        return row | {"Reason": few}
    x, y = _centred(numbers, controls.positive), _centred(controls.values[:, None], controls.positive)[:, 0]
    slopes, _, rank, _ = np.linalg.lstsq(x, y, rcond=1e-9)
    freedom = n - 2 - int(rank)
    before = _zprime(controls, y, 1.0)
    row |= {"ZPrime": before}
    if not rank:
        return row | {"Reason": "it does not differ between the controls of a role"}
    if freedom < _MIN_FREEDOM:
        return row | {"Reason": f"{n} control wells are too few to tell {rank} effects of it from chance"}
    left = y - x @ slopes
    after = _zprime(controls, left, np.sqrt((n - 2) / freedom))
    explained = max(float(y @ y - left @ left), 0.0)
    f = explained / int(rank) / max(float(left @ left) / freedom, np.finfo(np.float64).tiny)
    return row | {
        "Detail": _detail(covariate, numbers, slopes, x, y),
        "ZPrime_Without": after,
        "Delta": after - before,
        "PValue": float(fdtrc(int(rank), freedom, f)),
        "Reason": "",
    }


def _centred(numbers: Floats, positive: npt.NDArray[np.bool_]) -> Floats:
    """Numbers (n, k) less their mean over the wells of the same role."""
    centred = numbers.copy()
    for role in (positive, ~positive):
        centred[role] -= numbers[role].mean(axis=0)
    return centred


def _zprime(controls: _Controls, residuals: Floats, widen: float) -> float:
    """Z' of the controls' means and of the ``residuals`` (n,) from them, their SD times ``widen``."""
    p = controls.positive
    gap = abs(float(controls.values[p].mean() - controls.values[~p].mean()))
    spreads = [float(np.sqrt((residuals[role] ** 2).sum() / (role.sum() - 1))) for role in (p, ~p)]
    return 1 - 3 * widen * sum(spreads) / gap


def _detail(covariate: Covariate, numbers: Floats, slopes: npt.NDArray[np.floating], x: Floats, y: Floats) -> str:
    """How the readout depends on the covariate, in words."""
    if covariate.cause == "edge":
        return f"{int(numbers.sum())} of {len(numbers)} control wells on the edge, {slopes[0]:+.3g} against the others"
    if covariate.cause == "gradient":
        return f"{slopes[0]:+.3g} a row down, {slopes[1]:+.3g} a column to the right"
    if covariate.is_factor:
        shifts = {
            name: float(y[numbers[:, i] > 0].mean())
            for i, name in enumerate(covariate.names)
            if (numbers[:, i] > 0).any()
        }
        high, low = max(shifts, key=lambda k: shifts[k]), min(shifts, key=lambda k: shifts[k])
        return f"highest in {covariate.cause} {high} ({shifts[high]:+.3g}), lowest in {low} ({shifts[low]:+.3g})"
    r = float(x[:, 0] @ y / np.sqrt((x[:, 0] @ x[:, 0]) * (y @ y)))
    return f"{covariate.names[0]}: correlation {r:+.2f} within the roles"


def _without_wells(controls: _Controls, settings: ReadoutSettings) -> Iterator[dict[str, object]]:
    """Rows of the wells whose leaving out raises Z' most, best first."""
    values, p = controls.values, controls.positive
    n_p, n_n = int(p.sum()), int((~p).sum())
    base = _loo(values[None, p], values[None, ~p], min_wells=settings.min_wells)
    here = np.empty(len(values))
    here[p], here[~p] = base.positive[0], base.negative[0]
    before = float(base.whole[0])
    row: dict[str, object] = {"Cause": "well", "ZPrime": before}
    if not np.isfinite(here).any():
        why = f"{n_p} positive and {n_n} negative wells: one fewer leaves under {settings.min_wells}"
        yield row | {"Detail": "", "Count_WellsRemoved": 0, "Reason": why} | controls.counts
        return
    usual = _usual_gains(controls, settings)
    order = [int(i) for i in np.argsort(-np.where(np.isfinite(here), here, -np.inf), kind="stable")[:_MOST_WELLS]]
    for i in order:
        if not np.isfinite(here[i]):
            continue
        role = "positive" if p[i] else "negative"
        group = values[p] if p[i] else values[~p]
        z = (values[i] - group.mean()) / group.std(ddof=1)
        gain = float(here[i]) - before
        yield row | {
            "Detail": f"{controls.wells[i]}, {role}, {z:+.1f} SD from the {role} mean",
            "ZPrime_Without": float(here[i]),
            "Delta": gain,
            "PValue": float((1 + (usual >= gain).sum()) / (1 + usual.size)),
            "Count_WellsRemoved": 1,
            "Count_Positive": n_p - bool(p[i]),
            "Count_Negative": n_n - (not p[i]),
            "Reason": "",
        }


@dataclass(frozen=True, slots=True)
class _LeaveOneOut:
    """Z' of plates (s,), and without each positive (s, n_p) and each negative well (s, n_n); NaN where too few."""

    whole: Floats
    positive: Floats
    negative: Floats


def _loo(positive: Floats, negative: Floats, *, min_wells: int) -> _LeaveOneOut:
    """Of positive (s, n_p) and negative (s, n_n) values of s plates."""
    (m_p, sd_p, lm_p, lsd_p), (m_n, sd_n, lm_n, lsd_n) = (_moments_loo(v, min_wells) for v in (positive, negative))
    return _LeaveOneOut(
        1 - 3 * (sd_p + sd_n) / np.abs(m_p - m_n),
        1 - 3 * (lsd_p + sd_n[:, None]) / np.abs(lm_p - m_n[:, None]),
        1 - 3 * (sd_p[:, None] + lsd_n) / np.abs(m_p[:, None] - lm_n),
    )


def _moments_loo(values: Floats, min_wells: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Mean and SD (s,) of the wells, and (s, n) of the wells without each; NaN where fewer than ``min_wells`` stay."""
    n = values.shape[1]
    mean = values.mean(axis=1)
    off = values - mean[:, None]
    squares = (off**2).sum(axis=1)
    if n - 1 < min_wells:
        without = np.full(values.shape, np.nan)
        return mean, np.sqrt(squares / (n - 1)), without, without
    rest = np.maximum(squares[:, None] - off**2 * n / (n - 1), 0.0)
    return mean, np.sqrt(squares / (n - 1)), mean[:, None] - off / (n - 1), np.sqrt(rest / (n - 2))


def _usual_gains(controls: _Controls, settings: ReadoutSettings) -> Floats:
    """Best gain of Z' by leaving one well out, on plates (s,) of Gaussian wells with the same means, SD and counts."""
    rng = np.random.default_rng((settings.seed, 2))
    drawn = [
        rng.normal(group.mean(), group.std(ddof=1), (_PLATES, group.size))
        for group in (controls.values[controls.positive], controls.values[~controls.positive])
    ]
    plates = _loo(drawn[0], drawn[1], min_wells=settings.min_wells)
    best: Floats = np.nanmax(np.column_stack([plates.positive, plates.negative]), axis=1) - plates.whole
    return best
