"""Results folders as a run leaves them, made from true labels instead of a network's."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hcs.commands.simulate import write_simulation
from hcs.config import ChannelSettings, Config
from hcs.measure.measure import measure_nuclei
from hcs.measure.quality import field_quality, quality_values
from hcs.plate.keys import FieldKey
from hcs.plate.platemap import PlateMap
from hcs.simulate.settings import SimulationSettings
from hcs.store.plate.labels import read_labels, write_labels
from hcs.store.plate.mark import Mark
from hcs.store.plate.reader import open_plate, read_field, read_info
from hcs.store.platemap import write_plate_map
from hcs.store.results.ledger import LedgerEntry, write_entry
from hcs.store.results.record import RecordedChannels, RunRecord
from hcs.store.results.table import write_part

HOSTILE = "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=1> \"'`,;\u2028${1}" + "x" * 10_000
RUN = "0123456789abcdef"
FAILED = "B06"
CHANNELS = ("DNA", "CDK2")


def plate_map(text: str) -> pd.DataFrame:
    """Four negative, four positive wells, the rest doses of two compounds; ``text`` is in every name."""
    rows = []
    for k, well in enumerate(f"{row}{column:02d}" for row in "ABCD" for column in range(1, 7)):
        role = "negative" if k < 4 else "positive" if k < 8 else "sample"
        dose = np.nan if role == "negative" else 10.0 * 3.0 ** -((k - 8) % 8) if k >= 8 else 10.0
        name = "" if role == "negative" else f"drug {'AB'[(k - 8) // 8 % 2]} {text}".strip()
        rows.append({"well": well, "role": role, "compound": name, "dose": dose, "unit": "uM", "batch": text})
    return pd.DataFrame(rows)


def make_results(folder: Path, *, text: str = "") -> Path:
    """``folder/results`` of a simulated plate of 24 wells, whose well B06 failed, before the readouts are made."""
    files = write_simulation(folder / "plate.zarr", SimulationSettings(wells=24, size_px=256, density=400.0, seed=5))
    out, config = folder / "results", Config(channels=ChannelSettings(dna="DNA", sensor="CDK2"))
    plate = open_plate(str(files.plate))
    for entry in plate.fields:
        _process(out, plate.path, entry.key, config)
    frame = plate_map(text)
    out.mkdir(exist_ok=True)
    write_plate_map(out / "platemap.csv", PlateMap.from_frame(frame, "test"))
    record = make_record(plate.path, config, tuple(entry.key for entry in plate.fields), text)
    digest = hashlib.sha256((out / "platemap.csv").read_bytes()).hexdigest()
    replace(record, plate_map={"source": "test", "sha256": digest}).write(out)
    return out


def _process(out: Path, path: str, key: FieldKey, config: Config) -> None:
    if str(key.well) == FAILED:
        write_entry(out, LedgerEntry(field=str(key), status="failed", run=RUN, reason="its chunk 0/0 is damaged <b>"))
        return
    plate = open_plate(path)
    image = read_field(plate, key, channels=(0, 1))
    labels = read_labels(path, key, "truth")
    size_um = read_info(plate, key).pixel_size_um
    write_labels(path, key, labels, ngff=plate.ngff, pixel_size_um=size_um, mark=Mark(run="a"))
    confidence = np.full(labels.shape, 0.9, np.float32)
    table = measure_nuclei(
        labels,
        image,
        channels=CHANNELS,
        dna="DNA",
        sensor="CDK2",
        settings=config.measure,
        pixel_size_um=0.5,
        confidence=confidence,
    )
    part = write_part(out, plate.name, key, table.columns)
    quality = quality_values(field_quality(image, labels, channels=CHANNELS, settings=config.measure))
    n = int(labels.max(initial=0))
    write_entry(
        out,
        LedgerEntry(
            field=str(key),
            status="ok" if n else "empty",
            run=RUN,
            part_bytes=part.nbytes,
            part_crc32=part.crc32,
            nuclei=n,
            background={name: float(value) for name, value in table.backgrounds.items()},
            quality={name: None if np.isnan(value) else float(value) for name, value in quality.items()},
        ),
    )


def make_record(path: str, config: Config, keys: tuple[FieldKey, ...], text: str) -> RunRecord:
    """The record of the run that `make_results` plays."""
    identity = {"plate": {"name": "plate", "ngff": "0.5"}, "config": config.model_dump(mode="json")}
    return RunRecord(
        run_id=RUN,
        identity=identity | {"wells": sorted({str(key.well) for key in keys})},
        plate_path=path,
        labels={"path": path, "in_plate": True, "name": "nuclei", "run": "a"},
        channels=RecordedChannels(names=CHANNELS, dna="DNA", sensor="CDK2", nuclei="DNA"),
        model={"name": f"truth {text}", "path": "", "sha256": "0" * 64},
        keys=keys,
        versions={"hcs": "0"},
        machine={"system": "test"},
        command=f"hcs run plate {text}",
    )


class Page(HTMLParser):
    """Tags, attributes and text of a page, and the data in it; fails on tags that are not closed."""

    void = frozenset({"meta", "img", "link", "!doctype", "br"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert self.open == []
        found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
        self.data: dict[str, Any] = json.loads(found[1]) if found else {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text += data
