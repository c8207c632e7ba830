"""Nuclei from the sensor channel alone beside nuclei from DNA, as in the CDK2-sensor paper, and what it costs in Z'.

    python benchmarks/sensor.py ../shared/data/bbbc013 [--model sensor] [--held-out 'D*,H*'] [--out FOLDER]

Needs what `hcs convert --layout bbbc013` needs. The plate's two channels lie a pixel apart, so that masks drawn in DNA
are off in the sensor's channel. How far is measured by outlines (`hcs.measure.registration`), the DNA channel is moved
there, and that plate is run twice, with nuclei from DNA and with nuclei from the sensor; the plate as taken is run as
well, and the same figures are given beside it. Recall by the true nucleus' ratio and precision by the found one's
(Fig. 4), the distributions of the ratio and their Kolmogorov-Smirnov distance (5a), ratio against DNA content (5b, c)
and the fraction below 0.8 are those of the wells held out; Z' and EC50 need all wells of the plate, those that the
model was trained on among them. Of the paper's Fig. 5 nothing is vetted: all nuclei found in DNA are the truth.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile
from matplotlib.figure import Figure
from scipy.stats import ks_2samp, spearmanr

import hcs
from hcs.commands.convert import convert_and_check
from hcs.evaluate.by_ratio import NAMES, FieldByRatio, field_by_ratio, ranges_table
from hcs.evaluate.matching import CAICEDO, THRESHOLDS
from hcs.measure.registration import moved, offset_px, usual_offset
from hcs.plate.keys import WellId, select_wells
from hcs.readout.wells.by_sensor import bias_of_mean, read_found_by_ratio
from hcs.report.figures import save_figure
from hcs.store.results.folder import Results

READOUTS = ["Mean_Nuclei_Sensor_Ratio", "Mean_Nuclei_Sensor_LogRatio", "Fraction_SensorHigh"]
RATIO, CONTENT = "Nuclei_Sensor_Ratio", "Nuclei_DNA_Content"
LOW = 0.8
"""Ratio below which the paper calls a cell CDK2-low."""


@dataclass(frozen=True)
class Both:
    """The plate by DNA and by the sensor."""

    dna: Results
    sensor: Results
    held_out: tuple[str, ...]

    def fields(self, wells: Sequence[str]) -> Iterator[FieldByRatio]:
        """The nuclei of each well, matched."""
        for well in wells:
            image = self.dna.image(well, channel=self.dna.record.channels.sensor or 0)
            truth, found = (results.labels(well).astype(np.int64) for results in (self.dna, self.sensor))
            yield field_by_ratio(truth, found, image)

    def nuclei(self, wells: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Nuclei with a ratio off the border, by DNA and by the sensor."""
        columns = ["Metadata_Well", "Nuclei_Flag_TouchesBorder", RATIO, CONTENT]
        tables = [results.nuclei(wells=list(wells), columns=columns) for results in (self.dna, self.sensor)]
        one, other = (table[table[RATIO].notna() & ~table["Nuclei_Flag_TouchesBorder"]] for table in tables)
        return one, other


def run(plate: Path, out: Path, plate_map: Path, *, nuclei: str | None, model: str) -> Results:
    """The plate with nuclei from DNA, or from the channel ``nuclei``."""
    settings = {"model": model, "labels": "out", "readout": {"readouts": READOUTS}}
    return hcs.process_plate(plate, out, plate_map=plate_map, dna="DNA", sensor="GFP", nuclei=nuclei, settings=settings)


def of_all(fields: Sequence[FieldByRatio], k: int) -> tuple[float, float, float]:
    """Recall, precision and F1 over all nuclei at the k-th IoU."""
    true = np.concatenate([field.true_hit[:, k] for field in fields])
    found = np.concatenate([field.found_hit[:, k] for field in fields])
    return float(true.mean()), float(found.mean()), 2.0 * float(true.sum()) / (len(true) + len(found))


def detection(fields: Sequence[FieldByRatio]) -> Iterator[str]:
    """Fig. 4 as tables."""
    table = pd.DataFrame(ranges_table(fields))
    recall, precision, f1 = of_all(fields, 0)
    mean = float(np.mean([of_all(fields, THRESHOLDS.index(iou))[2] for iou in CAICEDO]))
    yield f"F1 at IoU 0.5 {f1:.3f} (recall {recall:.3f}, precision {precision:.3f}), mean over 0.50-0.90 {mean:.3f}"
    without = np.concatenate([field.true_hit[~np.isfinite(field.true_ratio), 0] for field in fields])
    yield f"{len(without)} true nuclei have no ratio (no signal); recall {without.mean():.3f}" if len(without) else ""
    for what in ("recall", "precision"):
        yield f"\n| {what} at IoU | " + " | ".join(f"{iou:.2f}" for iou in THRESHOLDS) + " |"
        yield "|---" * (len(THRESHOLDS) + 1) + "|"
        for (start, rows), name in zip(table.groupby("from"), NAMES, strict=True):
            count = int(rows["true" if what == "recall" else "found"].iloc[0])
            cells = " | ".join(f"{value:.2f}" for value in rows[what])
            yield f"| {name}, ratio from {start:g} ({count:,} nuclei) | {cells} |"


def distributions(both: Both) -> Iterator[str]:
    """Fig. 5 as numbers."""
    one, other = both.nuclei(both.held_out)
    test = ks_2samp(one[RATIO], other[RATIO])
    counts = f"{len(one):,} and {len(other):,} nuclei"
    yield f"\nKS distance of the ratios {test.statistic:.3f} (p {test.pvalue:.2g}; {counts})"
    by_well = []
    for well in both.held_out:
        a, b = (table.loc[table["Metadata_Well"] == well, RATIO] for table in (one, other))
        if len(a) and len(b):
            by_well.append((well, ks_2samp(a, b), float(b.mean() - a.mean())))
    distances = np.array([result.statistic for _, result, _ in by_well])
    significant = sum(result.pvalue < 0.05 / len(by_well) for _, result, _ in by_well)
    shifts = np.array([shift for _, _, shift in by_well])
    yield (
        f"by well: median {np.median(distances):.3f}, largest {distances.max():.3f}; {significant} of {len(by_well)} "
        f"wells differ (p < 0.05 / wells); mean ratio off by {shifts.mean():+.3f}, at most {np.abs(shifts).max():.3f}"
    )
    below = [float((table[RATIO] < LOW).mean()) for table in (one, other)]
    yield f"fraction below {LOW:g}: {below[0]:.3f} by DNA, {below[1]:.3f} by the sensor"
    rank = [spearmanr(table[CONTENT], table[RATIO]).statistic for table in (one, other)]
    yield f"Spearman correlation of DNA content and ratio: {rank[0]:.3f} by DNA, {rank[1]:.3f} by the sensor"
    found = read_found_by_ratio(both.sensor.record.model.get("found_by_ratio"))
    if found is not None:
        estimate, true = bias_of_mean(other[RATIO].to_numpy(float), found), other[RATIO].mean() - one[RATIO].mean()
        yield f"bias of the mean ratio: estimated {estimate:+.3f}, against DNA {true:+.3f}"


def screen(both: Both) -> Iterator[str]:
    """Z' and EC50 side by side, over all wells."""
    yield "\n| readout | controls | Z' by DNA | Z' by the sensor | difference |"
    yield "|---|---|---|---|---|"
    one, other = (results.plate().set_index(["Readout", "Reference"]) for results in (both.dna, both.sensor))
    for key, row in one.iterrows():
        twin = other.loc[key]
        cells = [f"{r.ZPrime:.3f} ({r.ZPrime_Low:.2f} to {r.ZPrime_High:.2f})" for r in (row, twin)]
        yield f"| {key[0]} | {key[1]} | {cells[0]} | {cells[1]} | {twin.ZPrime - row.ZPrime:+.3f} |"
    yield "\n| readout | compound | EC50 by DNA | EC50 by the sensor | each inside the other's interval |"
    yield "|---|---|---|---|---|"
    keys = ["Readout", "Compound", "Group"]
    one, other = (results.table("doses").set_index(keys) for results in (both.dna, both.sensor))
    for key, row in one.iterrows():
        twin = other.loc[key]
        cells = [f"{r.EC50:.3g} ({r.EC50_Low:.3g} to {r.EC50_High:.3g}) {r.Unit}" for r in (row, twin)]
        inside = row.EC50_Low <= twin.EC50 <= row.EC50_High and twin.EC50_Low <= row.EC50 <= twin.EC50_High
        said = [r.Reason or cell for r, cell in zip((row, twin), cells, strict=True)]
        yield f"| {key[0]} | {key[1]} | {said[0]} | {said[1]} | {'yes' if inside else 'no'} |"


def figure(both: Both, fields: Sequence[FieldByRatio]) -> Figure:
    """Figs. 4 and 5 for the wells held out."""
    drawn = Figure(figsize=(11, 6), layout="constrained")
    (recall, precision, spread), (left, right, below) = drawn.subplots(2, 3)
    table = pd.DataFrame(ranges_table(fields))
    for (_, rows), name in zip(table.groupby("from"), NAMES, strict=True):
        recall.plot(rows["iou"], rows["recall"], "o-", markersize=3, label=f"{name} ratio")
        precision.plot(rows["iou"], rows["precision"], "o-", markersize=3, label=f"{name} ratio")
    for axes, what in ((recall, "recall, by true ratio"), (precision, "precision, by found ratio")):
        axes.set(xlabel="IoU", ylabel=what, ylim=(0, 1))
        axes.legend(fontsize=7, frameon=False)
    tables = both.nuclei(both.held_out)
    bins = np.linspace(0, 3, 61)
    for nuclei, name in zip(tables, ("nuclei from DNA", "nuclei from the sensor"), strict=True):
        spread.hist(nuclei[RATIO], bins, histtype="step", density=True, label=name)
        below.hist(nuclei[RATIO], np.linspace(0, 3, 301), histtype="step", density=True, cumulative=True, label=name)
    for axes, what in ((spread, "density"), (below, "cumulative")):
        axes.set(xlabel="sensor ratio", ylabel=what)
        axes.legend(fontsize=7, frameon=False)
    for axes, nuclei, name in zip((left, right), tables, ("nuclei from DNA", "nuclei from the sensor"), strict=True):
        axes.plot(nuclei[CONTENT], nuclei[RATIO], ",", alpha=0.6)
        limits = np.percentile(tables[0][CONTENT], (1, 99))
        axes.set(xlabel="DNA content", ylabel="sensor ratio", title=name, xlim=limits, ylim=(0, 3))
    return drawn


def convert(source: Path, plate: Path) -> Path:
    """The plate of ``source``, made where it is not there yet."""
    if not plate.exists():
        convert_and_check(
            source,
            plate,
            layout="bbbc013",
            pattern=None,
            channels=None,
            z=None,
            t=None,
            plate_format=None,
            pixel_size_um=None,
            interval_min=None,
            ngff="0.5",
            plate_map_path=source / "platemap.csv",
            workers=None,
            say=lambda line: None,
        )
    return plate


def registered(source: Path, folder: Path) -> tuple[Path, str]:
    """A copy of ``source`` whose DNA images lie on those of the sensor, by whole pixels, and a sentence on it."""
    pairs = [
        (path, path.with_name(path.name.replace("Channel1", "Channel2")))
        for path in sorted((source / "images").glob("Channel1-*.tif"))
    ]
    offsets = [offset_px(*(tifffile.imread(path, key=0) for path in pair)) for pair in pairs]
    usual = usual_offset(offsets)
    assert usual is not None, "the channels have no outlines in common"
    spread = np.percentile([each.x_px for each in offsets], (5, 95))
    (folder / "images").mkdir(parents=True, exist_ok=True)
    shutil.copy(source / "platemap.csv", folder)
    for sensor, dna in pairs:
        shutil.copy(sensor, folder / "images")
        tifffile.imwrite(folder / "images" / dna.name, moved(tifffile.imread(dna, key=0), *usual.whole()))
    return folder, (
        f"the sensor lies {usual.x_px:+.2f} px right of DNA ({spread[0]:+.2f} to {spread[1]:+.2f} in 90 % of "
        f"{len(pairs)} fields) and {usual.y_px:+.2f} px down; DNA is moved by {usual.whole()[1]}, {usual.whole()[0]} px"
    )


def main() -> None:
    """Run three times, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--model", default="sensor")
    parser.add_argument("--held-out", default="D*,H*")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--figure", type=Path)
    arguments = parser.parse_args()
    out = arguments.out or Path(tempfile.mkdtemp(prefix="hcs-sensor-"))
    source, plate_map = arguments.source, arguments.source / "platemap.csv"
    there, sentence = registered(source, out / "registered")
    taken, plate = convert(source, out / "as-taken" / "bbbc013.zarr"), convert(there, out / "bbbc013.zarr")
    before = run(taken, out / "by-dna-as-taken", plate_map, nuclei=None, model="auto")
    dna = run(plate, out / "by-dna", plate_map, nuclei=None, model="auto")
    began = time.perf_counter()
    sensor = run(plate, out / f"by-{Path(arguments.model).stem}", plate_map, nuclei="GFP", model=arguments.model)
    seconds = time.perf_counter() - began
    wells = select_wells(tuple(WellId.parse(name) for name in dna.wells()["Metadata_Well"]), arguments.held_out)
    held_out = tuple(map(str, wells))
    print(f"model {arguments.model}; held out: {arguments.held_out}, {len(wells)} wells; run {seconds:.0f} s")
    print(sentence)
    for truth, what in ((dna, "registered"), (before, "as taken")):
        both = Both(truth, sensor, held_out)
        fields = list(both.fields(held_out))
        print(f"\n## Channels {what}\n")
        for lines in (detection(fields), distributions(both), screen(both)):
            for line in lines:
                print(line)
        if arguments.figure is not None and truth is dna:
            save_figure(figure(both, fields), arguments.figure)
            print(arguments.figure)


if __name__ == "__main__":
    main()
