"""Micronuclei in a run: two columns more where they are asked for, and a sentence where they cannot be found."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from hcs.commands.simulate import SimulationFiles
from hcs.config import Config, parse_config
from hcs.errors import ConfigError
from hcs.field.whole import process_fields_here
from hcs.measure.columns import column_dictionary
from hcs.plate.channels import Channels
from hcs.plate.keys import FieldKey
from hcs.readout.settings import ReadoutSettings
from hcs.run.checks import check_readouts, empty_nuclei
from hcs.run.prepare import prepare
from hcs.store.results.ledger import LedgerEntry


def processed(plate: Path, out: Path, **settings: object) -> LedgerEntry:
    config = parse_config({"labels": "none", **settings}, source="test")
    run = prepare(plate, out, config, plate_map_path=None, wells=None, device="cpu")
    (entry,) = process_fields_here(run.job.for_field(run.keys[0]), run.keys[:1])
    assert isinstance(entry, LedgerEntry)
    return entry


def test_a_run_has_two_columns_more_and_all_others_as_before(simulated: SimulationFiles, tmp_path: Path) -> None:
    assert not Config().micronuclei
    tables = {}
    for on in (False, True):
        assert processed(simulated.plate, tmp_path / str(on), micronuclei=on).status == "ok"
        (part,) = (tmp_path / str(on) / "nuclei").rglob("*.parquet")
        tables[on] = pd.read_parquet(part)
    more = [name for name in tables[True] if name not in tables[False]]
    assert more == ["Nuclei_Micronuclei_Count", "Nuclei_Micronuclei_Area", "Metadata_FirstMicronucleus"]
    pd.testing.assert_frame_equal(tables[True].drop(columns=more), tables[False], check_exact=True)
    expected = empty_nuclei(column_dictionary(("DNA", "CDK2"), "DNA", "CDK2", micronuclei=True))
    assert tables[True][more].dtypes.tolist() == expected[more].dtypes.tolist()


def test_a_field_in_blocks_is_refused_with_the_way_out(simulated: SimulationFiles, tmp_path: Path) -> None:
    entry = processed(simulated.plate, tmp_path / "r", micronuclei=True, tiles={"max_field_px": 60_000})
    assert entry.status == "failed"
    assert entry.reason == (
        "it has more pixels than tiles.max_field_px, and micronuclei are found in one piece; raise tiles.max_field_px "
        "where memory allows, or say micronuclei: false"
    )


def test_a_plate_without_dna_is_refused_and_the_fraction_is_a_readout() -> None:
    keys = (FieldKey.parse("A01/0"),)
    readout = ReadoutSettings(readouts=("Fraction_Micronucleated",))
    with pytest.raises(ConfigError, match="needs a DNA channel"):
        check_readouts(
            keys, Channels(("CDK2",), dna=None, sensor=0, nuclei=0), None, ReadoutSettings(), micronuclei=True
        )
    stained = Channels(("DNA", "CDK2"), dna=0, sensor=1, nuclei=0)
    check_readouts(keys, stained, None, readout, micronuclei=True)
    with pytest.raises(ConfigError, match="Fraction_Micronucleated"):
        check_readouts(keys, stained, None, readout)
