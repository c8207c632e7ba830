"""`hcs audit-seams`: fields held in memory, whose seams are those of the network's tiles."""

from __future__ import annotations

from pathlib import Path

from helpers.run import Finished, Hcs

from hcs.commands.audit_seams import _in_one_piece, tile_seams
from hcs.commands.simulate import SimulationFiles
from hcs.config import Config
from hcs.field.worker import segmenter_of
from hcs.pipeline import find_nuclei, measure_found
from hcs.run.prepare import prepare
from hcs.store.plate.reader import read_field, read_info
from hcs.tiles.seams import COLUMNS, summarise


def test_fields_of_one_tile_have_no_seams(finished: Finished, hcs: Hcs) -> None:
    shown = hcs("audit-seams", finished.out)
    assert shown.code == 2
    assert "there are no seams to look at" in shown.err


def test_another_plate_is_refused(finished: Finished, hcs: Hcs, tmp_path: Path) -> None:
    assert "no such plate" in hcs("audit-seams", finished.out, "--plate", tmp_path / "other.zarr").err


def test_smaller_tiles_give_the_same_nuclei(simulated: SimulationFiles, tmp_path: Path) -> None:
    config = Config.model_validate({"labels": "none", "diameter_px": 24, "tiles": {"size_px": 128}})
    job = prepare(str(simulated.plate), tmp_path / "out", config, plate_map_path=None, wells=None, device="cpu").job
    segmenter, key = segmenter_of(job.model, "cpu", flips=False), job.plate.fields[0].key
    info = read_info(job.plate, key)
    image = read_field(job.plate, key, channels=(0, 1))
    found = find_nuclei(image, segmenter, job.channels, config, pixel_size_um=info.pixel_size_um)
    once = measure_found(found, job.channels, config).nuclei.to_frame()
    assert tile_seams((256, 256), job, segmenter).y == (128.0,)
    (pairs,) = _in_one_piece(job, key, info, once[list(COLUMNS)], segmenter)
    table = summarise(pairs).set_index("Where")
    assert table["Count_Nuclei"].sum() == len(once)
    assert (table["Count_Nuclei"] > 0).all()
    assert (table["Fraction_Different"] == 0).all()
    assert (table["Max_DNA_Percent"] == 0).all()
    missing = once.iloc[1:]
    (pairs,) = _in_one_piece(job, key, info, missing[list(COLUMNS)].reset_index(drop=True), segmenter)
    assert summarise(pairs)["Count_Gained"].sum() == 1
