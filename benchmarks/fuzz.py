"""Damaged and malicious plates, hundreds of them: each ends well or in a sentence, in time, and nothing else changes.

Small plates of NGFF 0.4 and 0.5, and one with shards, are changed at random, as broken disks, half copies, other
software and attackers change them: keys and values of metadata, files cut short, flipped, emptied, replaced by folders,
pipes, devices and links, chunks lost and exchanged. Each is then checked and processed field by field as `hcs run` does
(without dask), labels into the plate, by a forked process that is killed after a while. Counted is how it ended:

  ok         every field was processed
  sentence   the plate was refused, or fields failed, with a reason of hcs's own
  traceback  another error than hcs's own
  hang       no end within the time, or memory without end
  touched    anything outside the plate and the results was changed, or in the plate what is not hcs's own
  outside    pixels of another plate were read without a link to it

Run: python benchmarks/fuzz.py [--stores N] [--seed N] [--limit-s S] [--folder DIR] [--keep]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import random
import re
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from hcs.config import Config
from hcs.errors import HcsError
from hcs.field.large import LargeField
from hcs.field.whole import process_fields_here
from hcs.field.worker import field_diameters, segmenter_of
from hcs.plate.keys import FieldKey, WellId
from hcs.run.prepare import prepare
from hcs.store.models import find_model
from hcs.store.plate.labels import write_labels
from hcs.store.plate.nodes import METADATA_FILES
from hcs.store.plate.writer import PlateSpec, create_plate, field_path, write_field
from hcs.store.results.folder import open_results

KEYS = tuple(FieldKey(WellId(row, column), field) for row, column in ((0, 0), (1, 2)) for field in (0, 1))
SIZE_PX = 64
LIMIT_BYTES = 12 * 2**30
UNEXPECTED = re.compile(r"^(?!FieldError)[A-Za-z_.]*(Error|Exception|Warning|Interrupt|Exit)\b: ")
BAD = ("traceback", "hang", "touched", "outside")

Mutation = Callable[[Path, random.Random, Path], str]


def picture(seed: int) -> Any:
    """A field (2, Y, X): a dozen discs on a background."""
    random_numbers = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE_PX, :SIZE_PX]
    image = random_numbers.poisson(100, (2, SIZE_PX, SIZE_PX)).astype(np.float64)
    for cy, cx in random_numbers.uniform(8, SIZE_PX - 8, (12, 2)):
        image += 800.0 * ((y - cy) ** 2 + (x - cx) ** 2 < 36)
    return image.astype(np.uint16)


def make_plate(path: Path, ngff: Any, *, seed: int = 0, sharded: bool = False) -> None:
    """A plate of two wells with two fields each, one of which has somebody's labels."""
    spec = PlateSpec(
        name="fuzz",
        wells=tuple({key.well for key in KEYS}),
        fields_per_well=2,
        channels=("DNA", "GFP"),
        ngff=ngff,
        pixel_size_um=0.65,
    )
    create_plate(str(path), spec)
    for i, key in enumerate(KEYS):
        write_field(str(path), spec, key, picture(seed + i))
        if sharded:
            level = path / field_path(key) / "0"
            data = zarr.open_array(level, mode="r")[...]
            shutil.rmtree(level)
            zarr.create_array(store=level, data=np.asarray(data), chunks=(1, 32, 32), shards=(1, 64, 64), zarr_format=3)
    labels = np.kron(np.arange(4, dtype=np.uint32).reshape(2, 2), np.ones((32, 32), np.uint32))
    write_labels(str(path), KEYS[0], labels, ngff=ngff, pixel_size_um=None, name="by_hand")


def metadata_files(plate: Path) -> list[Path]:
    return sorted(p for p in plate.rglob("*") if p.name in METADATA_FILES and p.is_file() and "labels" not in p.parts)


def chunk_files(plate: Path) -> list[Path]:
    found = (p for p in plate.rglob("*") if p.is_file() and p.name not in METADATA_FILES and "labels" not in p.parts)
    return sorted(found)


def odd_value(chance: random.Random) -> Any:
    """What nobody expects."""
    deep: Any = 1
    for _ in range(900):
        deep = [deep]
    paths = ["../victim.zarr/A/01", "../../victim.zarr/A/01/0", "../../../victim.zarr/A/01/0/0", "/etc", "..", ".", ""]
    odd = [None, True, [], {}, -1, 0, 0.5, 10**6, 10**18, 10**300, float("nan"), float("inf"), deep, [None], {"a": {}}]
    texts = ["a\0b", "\ud800", "x" * 300, "B/../A/01", "s3://bucket/plate", "\\\\server\\plate", "A\n01", "🧫", "１"]
    return chance.choice([*odd, *paths, *texts])


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of all values in a JSON document."""
    found = [path] if path else []
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in items:
        found += places(value, (*path, key))
    return found


def change_json(plate: Path, chance: random.Random, _: Path) -> str:
    """A value of some metadata file replaced, dropped or doubled."""
    file = chance.choice(metadata_files(plate))
    document = json.loads(file.read_text())
    where = places(document)
    if not where:
        return "none"
    *parents, last = chance.choice(where)
    holder = document
    for key in parents:
        holder = holder[key]
    how = chance.choice(["replace", "replace", "replace", "drop", "double"])
    if how == "replace":
        holder[last] = odd_value(chance)
    elif how == "drop":
        del holder[last]
    elif isinstance(holder, list):
        holder.append(holder[last])
    else:
        holder[f"{last}2"] = holder[last]
    file.write_text(json.dumps(document))
    return f"{how} {'.'.join(map(str, [*parents, last]))} in {file.relative_to(plate)}"


def change_bytes(plate: Path, chance: random.Random, _: Path) -> str:
    """A file cut short, emptied, lengthened, or with a bit flipped."""
    file = chance.choice(chance.choice([metadata_files(plate), chunk_files(plate)]) or metadata_files(plate))
    data = bytearray(file.read_bytes())
    how = chance.choice(["cut", "empty", "flip", "flip", "longer", "zeros", "deep"])
    if how == "cut":
        data = data[: chance.randrange(max(len(data), 1))]
    elif how == "empty":
        data = bytearray()
    elif how == "flip" and data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    elif how == "longer":
        data += bytes(chance.randrange(1, 99))
    elif how == "zeros":
        data = bytearray(len(data))
    else:
        data = bytearray(b'{"attributes":' * 20_000)
    file.write_bytes(bytes(data))
    return f"{how} {file.relative_to(plate)}"


def change_kind(plate: Path, chance: random.Random, outside: Path) -> str:
    """A file that is no file any more."""
    file = chance.choice(chance.choice([metadata_files(plate), chunk_files(plate)]) or metadata_files(plate))
    how = chance.choice(["gone", "folder", "pipe", "dangling", "circle", "device", "link", "huge", "file above"])
    file.unlink()
    if how == "folder":
        file.mkdir()
    elif how == "pipe":
        os.mkfifo(file)
    elif how == "dangling":
        file.symlink_to("nowhere")
    elif how == "circle":
        file.symlink_to(file)
    elif how == "device":
        file.symlink_to("/dev/zero")
    elif how == "link":
        file.symlink_to(chance.choice(chunk_files(outside / "victim.zarr")))
    elif how == "huge":
        with file.open("wb") as opened:
            opened.truncate(2**36)
    elif how == "file above" and file.parent != plate:
        shutil.rmtree(file.parent)
        file.parent.write_text("x")
    return f"{how} {file.relative_to(plate)}"


def change_chunks(plate: Path, chance: random.Random, _: Path) -> str:
    """Chunks of one level lost, renamed, exchanged, or with strangers beside them."""
    chunks = chunk_files(plate)
    if len(chunks) < 2:
        return "none"
    one, other = chance.sample(chunks, 2)
    level = next(p for p in one.parents if (p / "zarr.json").exists() or (p / ".zarray").exists())
    how = chance.choice(["all gone", "renamed", "exchanged", "stray"])
    if how == "exchanged":
        first, second = one.read_bytes(), other.read_bytes()
        one.write_bytes(second)
        other.write_bytes(first)
    elif how == "stray":
        (level / "0.0.0").write_text("x")
        (level / ".DS_Store").write_text("x")
    else:
        for i, chunk in enumerate(c for c in chunks if level in c.parents):
            if how == "renamed":
                chunk.rename(level / f"{i}.0.0")
            else:
                chunk.unlink()
    return f"{how} {level.relative_to(plate)}"


def change_folders(plate: Path, chance: random.Random, outside: Path) -> str:
    """A well or field gone, renamed, or a link to another plate."""
    folders = [plate / part for part in ("A", "A/01", "A/01/0", "A/01/0/0", "B/03/1") if (plate / part).is_dir()]
    if not folders:
        return "none"
    folder = chance.choice(folders)
    how = chance.choice(["gone", "renamed", "link", "circle", "labels link"])
    if how == "gone":
        shutil.rmtree(folder)
    elif how == "renamed":
        folder.rename(folder.with_name("C"))
    elif how == "link":
        shutil.rmtree(folder)
        folder.symlink_to(outside / "victim.zarr" / folder.relative_to(plate))
    elif how == "circle":
        shutil.rmtree(folder)
        folder.symlink_to("..")
    elif (plate / "B/03/1").is_dir() and not (plate / "B/03/1/labels").exists():
        (plate / "B/03/1/labels").symlink_to(outside / "elsewhere")
    return f"{how} {folder.relative_to(plate)}"


def foreign_labels(plate: Path, chance: random.Random, _: Path) -> str:
    """Somebody's labels where hcs would write its own."""
    field = plate / field_path(chance.choice(KEYS))
    if not field.is_dir():
        return "none"
    group = zarr.open_group(field / "labels" / "nuclei", mode="w", zarr_format=chance.choice([2, 3]))
    group.create_array("0", data=np.ones((SIZE_PX, SIZE_PX), np.uint16))
    group.attrs["by"] = "Anna"
    return f"labels of somebody in {field.relative_to(plate)}"


MUTATIONS: tuple[Mutation, ...] = (
    *(change_json, change_json, change_json, change_json, change_bytes, change_bytes),
    *(change_kind, change_kind, change_chunks, change_folders, foreign_labels),
)


def contents(folder: Path, *, without: tuple[str, ...] = ()) -> dict[str, str]:
    """What every file beneath is; links are not followed, and what is beneath ``without`` is not looked at."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if any(name.endswith(part) or f"{part}/" in name for part in without):
            continue
        if path.is_symlink():
            found[name] = f"link {os.readlink(path)}"
        elif path.is_file() and path.stat().st_size < 2**24:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            found[name] = "folder" if path.is_dir() else "else"
    return found


def work(plate: Path, out: Path, told: Any) -> None:
    """In a process of its own: check and process the plate, read labels back, and tell how it ended."""
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES, LIMIT_BYTES))
    sums: list[str] = []
    try:
        config = Config.model_validate({"diameter_px": 12.0, "channels": {"dna": 0}})
        run = prepare(plate, out, config, plate_map_path=None, wells=None, device="cpu")
        for key in run.keys:
            field_diameters(run.job, key)
        if run.job.labels is not None:
            run.job.labels.prepare(run.job.plate)
        run.record.write(out)
        entries = process_fields_here(run.job, run.keys)
        results = open_results(out)
        ended, reasons = "ok", []
        for entry in entries:
            if isinstance(entry, LargeField):
                continue
            sums.append(entry.input_crc32)
            if entry.done:
                key = FieldKey.parse(entry.field)
                results.labels(str(key.well), key.field)
            else:
                ended = "traceback" if UNEXPECTED.match(entry.reason) or ended == "traceback" else "sentence"
                reasons.append(f"{entry.field}: {entry.reason}")
        told.send((ended, "; ".join(reasons), sums))
    except HcsError as error:
        told.send(("sentence", str(error), sums))
    except BaseException as error:
        import traceback  # noqa: PLC0415

        told.send(("traceback", f"{type(error).__name__}: {error}\n{traceback.format_exc()}", sums))


@dataclass(frozen=True)
class Ended:
    """How one store ended, and what had been done to it."""

    outcome: str
    reason: str
    changes: tuple[str, ...]


def attempt(base: Path, folder: Path, chance: random.Random, limit_s: float, victims: set[str]) -> Ended:
    """Change a copy of the plate ``base``, process it in a child, and look at what it left."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "elsewhere").mkdir(parents=True)
    shutil.copytree(base.parent / "victim.zarr", folder / "victim.zarr")
    plate = folder / "plate.zarr"
    shutil.copytree(base, plate)
    changes = []
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        try:
            changes.append(chance.choice(MUTATIONS)(plate, chance, folder))
        except (OSError, ValueError, IndexError):  # what an earlier change left cannot be changed this way
            changes.append("none")
    own = ("labels/nuclei", "labels", "labels/zarr.json", "labels/.zattrs", "labels/.zgroup")
    before = contents(folder, without=("results", *own)), labels_of_others(plate)
    outcome, reason, sums = in_child(plate, folder / "results", limit_s)
    after = contents(folder, without=("results", *own)), labels_of_others(plate)
    if before != after:
        changed = [
            name
            for a, b in zip(before, after, strict=True)
            for name in a.keys() | b.keys()
            if a.get(name) != b.get(name)
        ]
        outcome, reason = "touched", f"{sorted(changed)[:5]} ({reason})"
    elif victims & set(sums) and not any(change.startswith(("link", "circle")) for change in changes):
        outcome = "outside"
    return Ended(outcome, reason, tuple(changes))


def differing(before: tuple[dict[str, str], ...], after: tuple[dict[str, str], ...]) -> list[str]:
    """Names of files that are not what they were."""
    pairs = zip(before, after, strict=True)
    return sorted(name for a, b in pairs for name in a.keys() | b.keys() if a.get(name) != b.get(name))


def labels_of_others(plate: Path) -> dict[str, str]:
    """Files of labels that hcs did not write."""
    found = {}
    for folder in sorted(plate.glob("*/*/*/labels/*")):
        mark = [p for p in (folder / "zarr.json", folder / ".zattrs") if p.is_file() and '"hcs"' in p.read_text()]
        if folder.is_dir() and not mark:
            found |= {f"{folder.relative_to(plate)}/{k}": v for k, v in contents(folder).items()}
    return found


def in_child(plate: Path, out: Path, limit_s: float) -> tuple[str, str, list[str]]:
    """What a forked process comes to; ``hang`` where it must be killed, or dies of its memory."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=work, args=(plate, out, theirs))
    child.start()
    theirs.close()
    told: tuple[str, str, list[str]] = ("hang", f"no end within {limit_s:.0f} s", [])
    try:
        if ours.poll(limit_s):
            told = ours.recv()
    except EOFError:
        told = ("hang", "it died", [])
    if child.is_alive() and told[0] == "hang":
        child.kill()
    child.join()
    return told


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--stores", type=int, default=500)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--limit-s", type=float, default=60.0)
    options.add_argument("--folder", type=Path)
    options.add_argument("--keep", action="store_true", help="keep the stores that ended badly")
    chosen = options.parse_args()
    segmenter_of(find_model("fast", "cpu"), "cpu", flips=False)
    import hcs.engine.kernels  # noqa: F401, PLC0415  compiled here once, and not by every child

    counts, began = Counter[str](), time.monotonic()
    with tempfile.TemporaryDirectory(dir=chosen.folder, prefix="hcs-fuzz-") as temporary:
        root = Path(temporary)
        make_plate(root / "base" / "v3.zarr", "0.5")
        make_plate(root / "base" / "v2.zarr", "0.4")
        make_plate(root / "base" / "shards.zarr", "0.5", sharded=True)
        make_plate(root / "base" / "victim.zarr", "0.5", seed=50)
        _, _, sums = in_child(root / "base" / "victim.zarr", root / "victim-results", 300.0)
        shutil.rmtree(root / "base" / "victim.zarr")
        make_plate(root / "base" / "victim.zarr", "0.5", seed=50)
        for number in range(chosen.stores):
            chance = random.Random(chosen.seed * 1_000_003 + number)
            base = root / "base" / chance.choice(["v3.zarr", "v3.zarr", "v2.zarr", "shards.zarr"])
            ended = attempt(base, root / "store", chance, chosen.limit_s, set(sums))
            counts[ended.outcome] += 1
            if ended.outcome in BAD:
                done = "; ".join(ended.changes)
                print(f"{number}: {ended.outcome}: {base.stem}: {done}\n  {ended.reason}", flush=True)
                if chosen.keep:
                    shutil.move(root / "store", Path(tempfile.gettempdir()) / f"hcs-fuzz-{chosen.seed}-{number}")
            if (number + 1) % 25 == 0:
                print(
                    f"{number + 1} after {time.monotonic() - began:.0f} s: {dict(counts)}", file=sys.stderr, flush=True
                )
    told = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
    print(f"{chosen.stores} stores in {time.monotonic() - began:.0f} s: {told}")
    sys.exit(any(counts[name] for name in BAD))


if __name__ == "__main__":
    main()
