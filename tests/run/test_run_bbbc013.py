"""A real plate, from raw images to Z′: the Wortmannin controls of BBBC013."""

from __future__ import annotations

from pathlib import Path

from helpers.run import call_hcs

import hcs as package

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "bbbc013.yaml"
CONTROLS = "A01,B01,C01,D01,A02,B02,C02,D02,A12,B12,C12,D12"


def test_controls_of_a_real_plate_are_told_apart(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "bbbc013"
    plate_map = source / "platemap.csv"
    converted = call_hcs("convert", source, tmp_path / "p.zarr", "--layout", "bbbc013", "--plate-map", plate_map)
    assert converted.code == 0, converted.err
    assert "96 wells, 96 fields, channels GFP, DNA" in converted.out
    shown = call_hcs(
        "run", tmp_path / "p.zarr", "--out", tmp_path / "out", "--config", CONFIG, "--plate-map", plate_map,
        "--wells", CONTROLS, "--workers", 2,
    )  # fmt: skip
    assert shown.code == 0, shown.err
    results = package.open_results(tmp_path / "out")
    assert 120 < results.wells()["Count_Nuclei"].median() < 260
    plate = results.plate().set_index(["Readout", "Group"])
    ratio = plate.loc[("Mean_Nuclei_Sensor_Ratio", "Wortmannin")]
    assert (ratio["Count_Wells"], ratio["Count_NegativeWells"]) == (4, 8)
    assert ratio["ZPrime"] > 0.8
    assert ratio["NegativeMean"] > 3 * ratio["Mean"]  # the drug drives the sensor into the nucleus
    # The stain is uneven and clipped: a reason, not a number.
    assert not plate["DNA_Usable"].any()
    assert "2N peak" in plate.loc[("Fraction_4N", "Wortmannin")]["Reason"]
