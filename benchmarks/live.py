"""What a compound that slows the cycle has for an EC50, by the division rate and by the hours of a division.

    python benchmarks/live.py [--seeds 20] [--size 384]
    python benchmarks/live.py --results OUT --plate PLATE.zarr

The first simulates lives of cells without pictures: 24-well plates of 2 fields and 60 frames of 20 min. The length of
the cycle is ``1 + effect(dose)`` times 12 h, so that its EC50 is the compound's, 0.5 uM, and that of the rate, 1 over
it, 0.5 / 2^(1 / 1.5) = 0.315 uM. Printed are the EC50 of every plate with its 95 % interval, and how many of these hold
the true one. The second compares an analysed plate with the truth beside it: divisions, deaths, cycles,
classes, rates and EC50s.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

import hcs
from hcs.commands.simulate import simulation_files
from hcs.readout.screen.logistic import Curve, fit_curve, replicate_weights
from hcs.simulate.compounds import CDK2_INHIBITOR, CYCLE_SLOWER, VEHICLE
from hcs.simulate.lineage import Culture
from hcs.simulate.plate import lay_out_plate
from hcs.simulate.population import WellEffects
from hcs.simulate.settings import SimulationSettings
from hcs.simulate.streams import movie_rng, well_rng

_NEAR_PX = 8.0
OF_LENGTH = CYCLE_SLOWER.ec50_um
OF_RATE = OF_LENGTH / (1 + CYCLE_SLOWER.slowing) ** (1 / CYCLE_SLOWER.hill)


def main() -> None:
    """Simulated plates, or one that was analysed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--plate", type=Path, help="the simulated plate that was analysed")
    options = parser.parse_args()
    if options.results is not None:
        analysed(options.results, options.plate)
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


def analysed(folder: Path, plate: Path) -> None:
    """An analysed plate beside the truth of its cells."""
    results, files = hcs.open_results(folder), simulation_files(plate)
    truth, lineage = pd.read_parquet(files.truth), pd.read_parquet(files.lineage)
    interval = results.record.interval_min or math.nan
    wells = results.wells().astype({"Metadata_Well": str}).set_index("Metadata_Well")
    compared(tracks_with_truth(results, truth, lineage), results, wells["Metadata_Compound"])
    rates(wells, truth, lineage, interval)
    doses = results.table("doses")
    own = doses[(doses["Compound"] == CYCLE_SLOWER.name) & doses["Readout"].str.startswith(("Live", "Fraction_Live"))]
    print(f"\n{own[['Readout', 'EC50', 'EC50_Low', 'EC50_High', 'Reason']].to_string(index=False)}")
    print(f"\ntrue EC50: {OF_LENGTH:g} of the length of the cycle, {OF_RATE:.3f} of the rate")


_OF_TRACK = ["Metadata_Well", "Metadata_Site", "Track_Label"]


def tracks_with_truth(results: hcs.Results, truth: pd.DataFrame, lineage: pd.DataFrame) -> pd.DataFrame:
    """The table of tracks with the true cell that most of a track's nuclei lie on, and ``pure``, their share."""
    centre = [f"Nuclei_AreaShape_Center_{axis}" for axis in "YX"]
    keys = ["Metadata_Well", "Metadata_Site", "Metadata_Timepoint"]
    nuclei = results.nuclei(columns=[*keys, *centre, "Nuclei_TrackObjects_Label"]).astype({"Metadata_Well": str})
    true = dict(iter(truth.groupby(["well", "field", "frame"])))
    cell = np.full(len(nuclei), -1)
    for key, rows in nuclei.groupby(keys).indices.items():
        if key in true:
            distance, at = cKDTree(true[key][["y", "x"]]).query(nuclei.iloc[rows][centre])
            cell[rows] = np.where(distance < _NEAR_PX, true[key]["cell"].to_numpy()[at], -1)
    nuclei = nuclei.assign(cell=cell).rename(columns={"Nuclei_TrackObjects_Label": "Track_Label"})
    counts = nuclei.groupby([*_OF_TRACK, "cell"]).size().rename("n").reset_index().sort_values("n")
    most = counts.drop_duplicates(_OF_TRACK, keep="last").merge(
        nuclei.groupby(_OF_TRACK).size().rename("of").reset_index()
    )
    known = lineage.rename(columns={"well": "Metadata_Well", "field": "Metadata_Site"})
    tracks = results.tracks().astype({"Metadata_Well": str}).merge(most.assign(pure=most["n"] / most["of"]), how="left")
    return tracks.merge(known, on=["Metadata_Well", "Metadata_Site", "cell"], how="left")


def compared(tracks: pd.DataFrame, results: hcs.Results, compound: pd.Series) -> None:
    """Divisions, deaths, lengths of cycles and classes beside the truth."""
    last = tracks["Track_LastMin"]
    divided, died = tracks["Track_Ended"] == "divided", tracks["Track_Ended"] == "died"
    right = divided & (tracks["divided_min"] - last).between(-25, 45)
    dead = (tracks["died_min"] + 60 <= last) & (tracks["died_min"] - 60 >= tracks["Track_FirstMin"])
    print(f"{divided.sum():,} divisions, {right.sum() / divided.sum():.3f} of them right")
    print(
        f"{died.sum()} deaths, {(died & dead).sum()} of them right; {dead.sum()} true ones seen an hour on both sides"
    )
    own = tracks[[*_OF_TRACK, "pure", "class", "born_min", "cycle_min"]]
    born = results.table("cycles_live").astype({"Metadata_Well": str}).merge(own, on=_OF_TRACK)
    born["followed"] = (born["pure"] >= 0.95) & ((born["born_min"] - born["Birth_Min"]).abs() <= 40)
    whole = born[born["followed"] & born["Divided"]]
    ratio = (whole["Watched_Min"] / whole["cycle_min"]).median()
    print(f"{len(born):,} cells born, {born['followed'].mean():.3f} well tracked; cycle / true, median: {ratio:.3f}")
    decided = born[~born["Class"].isin(["undecided", ""])]
    good = decided["Class"] == decided["class"]
    low = (decided["Metadata_Well"].map(compound) == CDK2_INHIBITOR.name) & (decided["Class"] == "low")
    for name, rows in (("decided", decided["pure"] >= 0), ("of these well tracked", decided["followed"])):
        print(
            f"{name}: {rows.sum():,} cells, class right {good[rows].mean():.3f}; "
            f"{(good | low)[rows].mean():.3f} if CDK2 under its inhibitor is low"
        )


def rates(wells: pd.DataFrame, truth: pd.DataFrame, lineage: pd.DataFrame, interval: float) -> None:
    """The division rate of every well beside that of the cells in view."""
    seen = truth[~truth["dead"] & (truth["frame"] < truth["frame"].max())].groupby("well").size() * interval / 1440
    last = truth.groupby(["well", "field", "track"]).agg(last=("frame", "max"), cell=("cell", "first")).reset_index()
    ends = last.merge(lineage[["well", "field", "cell", "divided_min"]], on=["well", "field", "cell"])
    divided = ends[ends["last"] * interval >= ends["divided_min"] - interval].groupby("well").size()
    true = (divided / seen).reindex(wells.index)
    ratio = wells["Live_DivisionsPerDay"] / true
    inside = true.between(wells["Live_DivisionsPerDay_Low"], wells["Live_DivisionsPerDay_High"])
    print(f"division rate / true: median {ratio.median():.3f}, {ratio.min():.2f} to {ratio.max():.2f};", end=" ")
    print(f"the true one is inside the interval in {inside.sum()} of {true.notna().sum()} wells")


if __name__ == "__main__":
    main()
