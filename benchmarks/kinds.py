"""Kinds of nuclei taught by examples, on simulated nuclei: interphase, mitotic and dead cells, and two cell lines.

Run: python benchmarks/kinds.py [--wells 24] [--examples 200]

Nuclei are those of the truth, measured as a run measures them; examples are of half the wells, figures of the others.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
import pandas as pd

from hcs.measure.measure import measure_nuclei
from hcs.measure.settings import MeasureSettings
from hcs.plate.keys import FieldKey
from hcs.readout.wells.classes import CLASS, KEYS, SCORE, classify, teach
from hcs.simulate.field import simulate_field
from hcs.simulate.plate import lay_out_plate
from hcs.simulate.settings import SimulationSettings

SCORES = (0.0, 0.6, 0.7, 0.8, 0.9, 1.01)


def nuclei_of(settings: SimulationSettings, line: str) -> Iterator[pd.DataFrame]:
    """The measured nuclei of every field of a plate, with what they truly are."""
    planned = lay_out_plate(settings)
    for key in planned.keys:
        field = simulate_field(planned, FieldKey(key.well, key.field))
        table = measure_nuclei(
            field.labels,
            field.image,
            channels=("DNA", "CDK2"),
            dna="DNA",
            sensor="CDK2",
            settings=MeasureSettings(),
            pixel_size_um=settings.pixel_size_um,
        ).to_frame()
        table.insert(0, "Metadata_Well", str(key.well))
        table.insert(1, "Metadata_Site", key.field)
        cells = field.cells
        table["kind"] = np.select([cells["dead"], cells["mitotic"]], ["dead", "mitotic"], "interphase")
        table["line"] = line
        yield table[~table["Nuclei_Flag_TouchesBorder"].astype(bool)]


def report(nuclei: pd.DataFrame, truth: str, *, number: int) -> None:
    """Teach by ``number`` examples of each class from half the wells, and score the nuclei of the others."""
    wells = sorted(nuclei["Metadata_Well"].unique())
    here = nuclei["Metadata_Well"].isin(wells[::2])
    shuffled = nuclei[here].sample(frac=1.0, random_state=1)
    examples = shuffled.groupby(truth).head(number)[[*KEYS, truth]].rename(columns={truth: "class"})
    taught = teach(nuclei.drop(columns=["kind", "line"]), examples, "examples")
    print(f"\n{truth}")
    for line in taught.lines():
        print(f"  {line}")
    others = nuclei[~here].reset_index(drop=True)
    found = classify(taught, others)
    right = (found[CLASS] == others[truth]).to_numpy()
    print(f"  {len(others)} nuclei of {len(wells) - len(wells[::2])} other wells: {right.mean():.2%} right")
    print(pd.crosstab(others[truth], found[CLASS]).to_string())
    binned = pd.cut(found[SCORE], SCORES, right=False)
    shares = pd.DataFrame({"nuclei": 1, "wrong": ~right}).groupby(binned.to_numpy(), observed=True).sum()
    print(shares.assign(share_wrong=shares["wrong"] / shares["nuclei"]).to_string(float_format="%.3f"))


def main() -> None:
    """Simulate, teach, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wells", type=int, default=24)
    parser.add_argument("--examples", type=int, default=200)
    options = parser.parse_args()
    first = SimulationSettings(wells=options.wells, size_px=768, seed=11)
    second = SimulationSettings(
        wells=options.wells, size_px=768, seed=12, nucleus_diameter_px=18.0, sensor_counts=600.0
    )
    one = pd.concat(nuclei_of(first, "one"), ignore_index=True)
    report(one, "kind", number=options.examples)
    other = pd.concat(nuclei_of(second, "other"), ignore_index=True)
    other["Metadata_Site"] = 1  # as if both lines had grown in each well, in fields of their own
    report(pd.concat([one, other], ignore_index=True), "line", number=options.examples)


if __name__ == "__main__":
    main()
