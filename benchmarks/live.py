"""What a compound that slows the cycle has for an EC50, by the division rate and by the hours of a division.

    python benchmarks/live.py [--seeds 20] [--size 384]
    python benchmarks/live.py --results OUT --lineage PLATE.lineage.parquet

The first simulates lives of cells without pictures: 24-well plates of 2 fields and 60 frames of 20 min. The length of
the cycle is ``1 + effect(dose)`` times 12 h, so that its EC50 is the compound's, 0.5 uM, and that of the rate, 1 over
it, 0.5 / 2^(1 / 1.5) = 0.315 uM. Printed are the EC50 of every plate with its 95 % interval, and how many of these hold
the true one. The second compares an analysed plate with the truth of its cells: rates well by well, and its EC50.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd

import hcs
from hcs.readout.screen.logistic import Curve, fit_curve, replicate_weights
from hcs.simulate.compounds import CYCLE_SLOWER, VEHICLE
from hcs.simulate.lineage import Culture
from hcs.simulate.plate import lay_out_plate
from hcs.simulate.population import WellEffects
from hcs.simulate.settings import SimulationSettings
from hcs.simulate.streams import movie_rng, well_rng

OF_LENGTH = CYCLE_SLOWER.ec50_um
OF_RATE = OF_LENGTH / (1 + CYCLE_SLOWER.slowing) ** (1 / CYCLE_SLOWER.hill)


def main() -> None:
    """Simulated plates, or one that was analysed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--lineage", type=Path)
    options = parser.parse_args()
    if options.results is not None:
        analysed(options.results, pd.read_parquet(options.lineage))
        return
    print(
        f"| seed | EC50 of the rate (true {OF_RATE:.3f}), uM | of the hours (true {OF_LENGTH:g}) | divisions a well |"
    )
    print("|---|---|---|---|")
    held = []
    for seed in range(1, options.seeds + 1):
        dose, divisions, hours = lives(seed, options.size)
        rate, length = fit(dose, divisions / hours), fit(dose, hours / divisions)
        held.append((holds(rate, OF_RATE), holds(length, OF_LENGTH)))
        print(f"| {seed} | {said(rate)} | {said(length)} | {divisions.min():.0f} to {divisions.max():.0f} |")
    of_rate, of_length = np.array(held).sum(axis=0)
    print(f"\n{of_rate} and {of_length} of {options.seeds} intervals hold the true EC50")


def lives(seed: int, size_px: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Dose, divisions and hours of watching of the wells with no compound and with the one that slows the cycle."""
    settings = SimulationSettings(wells=24, fields=2, size_px=size_px, frames=60, seed=seed)
    plate = lay_out_plate(settings)
    rows = []
    for well, treatment in zip(plate.wells, plate.treatments, strict=True):
        if treatment.compound is None or treatment.compound.name not in (VEHICLE.name, CYCLE_SLOWER.name):
            continue
        divisions, minutes = 0, 0.0
        for key in (key for key in plate.keys if key.well == well):
            culture = Culture(
                settings=settings,
                treatment=treatment,
                effects=WellEffects.draw(well_rng(seed, well)),
                rng=movie_rng(seed, key),
                side_px=size_px,
            )
            with mock.patch.object(Culture, "_keep_apart"):  # places do not matter
                for frame, cells in culture.frames():
                    now = frame * settings.interval_min
                    minutes += sum(not cell.is_dead(now) for cell in cells) * settings.interval_min
            divisions += sum(math.isfinite(ended.divided_min) for ended in culture.ended)
        rows.append((treatment.dose_um, divisions, minutes / 60))
    dose, divisions_of, hours = np.array(rows, float).T
    return dose, divisions_of, hours


def fit(dose: np.ndarray, values: np.ndarray) -> Curve:
    """The curve as `hcs run` fits it."""
    with np.errstate(divide="ignore"):
        x = np.log10(dose)
    return fit_curve(x, values, replicate_weights(x, values), confidence=0.95)


def holds(curve: Curve, true: float) -> bool:
    """Whether the interval holds the true EC50."""
    return curve.low <= math.log10(true) <= curve.high


def said(curve: Curve) -> str:
    """EC50 and interval."""
    return f"{10**curve.log_ec50:.3f} ({10**curve.low:.3f}–{10**curve.high:.3g})"


def analysed(folder: Path, lineage: pd.DataFrame) -> None:
    """An analysed plate beside the truth of its cells."""
    results = hcs.open_results(folder)
    wells = results.wells().set_index("Metadata_Well")
    interval = results.record.interval_min or math.nan
    last = lineage["last_frame"] * interval
    divided = (last >= lineage["divided_min"] - interval) & lineage["divided_min"].notna()
    until = np.fmin(np.where(divided, lineage["divided_min"], last), lineage["died_min"].fillna(math.inf))
    watched = (until - lineage["first_frame"] * interval).clip(lower=0)
    seen = pd.DataFrame({"well": lineage["well"], "divisions": divided, "days": watched / 1440})
    true = seen.groupby("well").sum()
    true["rate"] = true["divisions"] / true["days"]
    both = wells.join(true, how="inner")
    ratio = both["Live_DivisionsPerDay"] / both["rate"]
    inside = both["rate"].between(both["Live_DivisionsPerDay_Low"], both["Live_DivisionsPerDay_High"])
    print(f"division rate over the true one: median {ratio.median():.3f}, {ratio.min():.2f} to {ratio.max():.2f};")
    print(f"the true rate is inside the interval in {inside.sum()} of {len(both)} wells\n")
    doses = results.table("doses")
    own = doses[doses["Compound"] == CYCLE_SLOWER.name]
    print(own[["Readout", "EC50", "EC50_Low", "EC50_High", "Hill", "PValue", "Reason"]].to_markdown(index=False))
    x = both[both["Metadata_Compound"].isin([VEHICLE.name, CYCLE_SLOWER.name])]
    length = fit(x["Metadata_Dose"].to_numpy(float), x["Live_HoursPerDivision"].to_numpy(float))
    print(f"\nEC50 of Live_HoursPerDivision: {said(length)} (true {OF_LENGTH:g}); of the rate true {OF_RATE:.3f}")


if __name__ == "__main__":
    main()
