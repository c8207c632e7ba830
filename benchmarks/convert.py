"""How fast `hcs convert` is beside what cannot be avoided: reading the TIFFs, and compressing and writing chunks.

    python benchmarks/convert.py [--fields 24] [--side 2160] [--compression lzw]

A Harmony export of noise over cells is made in a temporary folder. Then, in turns, the files are read with tifffile and
the same chunks (all levels of the pyramid) written with zarr, in as many threads as `hcs convert` has, and converted.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tifffile

from hcs.machine import cores, processor_name
from hcs.store.files.convert import convert_plate
from hcs.store.plate.pyramid import CHUNK_PX, IMAGES, create_level, level_shapes, mean_halved

_HEAD = (
    '<EvaluationInputData xmlns="urn:HarmonyV6"><Maps><Map>{channels}</Map></Maps><Images>{images}</Images>'
    "</EvaluationInputData>"
)
_CHANNEL = '<Entry ChannelID="{c}"><ChannelName>{name}</ChannelName></Entry>'
_IMAGE = (
    "<Image><URL>{name}</URL><Row>1</Row><Col>{column}</Col><FieldID>{field}</FieldID><PlaneID>1</PlaneID>"
    "<TimepointID>0</TimepointID><ChannelID>{c}</ChannelID></Image>"
)
_CHANNELS = ("HOECHST 33342", "CDK2")


def make_export(folder: Path, *, fields: int, side: int, compression: str | None) -> list[list[Path]]:
    """A Harmony export of so many fields; the files of each field."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    cells = nuclei_like(side, rng)
    files, images = [], []
    for i in range(fields):
        column, field = divmod(i, 4)
        files.append([folder / f"r01c{column + 1:02d}f{field + 1:02d}p01-ch{c}sk1fk1fl1.tiff" for c in (1, 2)])
        for c, path in enumerate(files[-1], start=1):
            plane = (np.roll(cells, 37 * i, 0) + rng.poisson(200, cells.shape)).astype(np.uint16)
            tifffile.imwrite(path, plane, compression=compression)
            images.append(_IMAGE.format(name=path.name, column=column + 1, field=field + 1, c=c))
    channels = "".join(_CHANNEL.format(c=c, name=name) for c, name in enumerate(_CHANNELS, start=1))
    (folder / "Index.xml").write_text(_HEAD.format(channels=channels, images="".join(images)), encoding="utf-8")
    return files


def nuclei_like(side: int, rng: np.random.Generator) -> np.ndarray:
    """Bright discs on nothing, as of nuclei, (side, side) float."""
    y, x = np.ogrid[:side, :side]
    image = np.zeros((side, side))
    for cy, cx in rng.uniform(0, side, (150, 2)):
        image[(y - cy) ** 2 + (x - cx) ** 2 < 18**2] += 2000
    return image


def read_and_write(files: list[list[Path]], folder: Path) -> None:
    """Nothing but reading the TIFFs and writing their chunks, in threads."""

    def one(number: int) -> None:
        data = np.stack([tifffile.imread(path) for path in files[number]])
        for level, (height, width) in enumerate(level_shapes(*data.shape[1:])):
            place = folder / str(number) / str(level)
            array = create_level(
                place, data.shape, data.dtype, chunk_px=CHUNK_PX, axes="cyx", ngff="0.5", pixels=IMAGES
            )
            array[:] = data
            data = mean_halved(data[..., : height // 2 * 2, : width // 2 * 2])

    with ThreadPoolExecutor(cores()) as threads:
        list(threads.map(one, range(len(files))))


def main() -> None:
    """Print seconds and megapixels a second of either, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fields", type=int, default=24)
    parser.add_argument("--side", type=int, default=2160)
    parser.add_argument("--compression", default="lzw", choices=["lzw", "zlib", "none"])
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        compression = None if given.compression == "none" else given.compression
        files = make_export(root / "export", fields=given.fields, side=given.side, compression=compression)
        bare, whole = [], []
        for _ in range(given.rounds):
            start = time.perf_counter()
            read_and_write(files, root / "bare")
            middle = time.perf_counter()
            convert_plate(root / "export", root / "plate.zarr")
            end = time.perf_counter()
            bare.append(middle - start)
            whole.append(end - middle)
            shutil.rmtree(root / "bare")
            shutil.rmtree(root / "plate.zarr")
    pixels = given.fields * len(_CHANNELS) * given.side**2 / 1e6
    ratios = [one / other for one, other in zip(bare, whole, strict=True)]
    print(f"{processor_name()}, {cores()} threads; {given.fields} fields of 2 × {given.side}² px, {given.compression}")
    print(f"reading and writing  {statistics.median(bare):6.1f} s  {pixels / statistics.median(bare):6.1f} MP/s")
    print(f"hcs convert          {statistics.median(whole):6.1f} s  {pixels / statistics.median(whole):6.1f} MP/s")
    print(
        f"ratio                {100 * statistics.median(ratios):6.0f} %  (rounds: {[round(100 * r) for r in ratios]})"
    )


if __name__ == "__main__":
    main()
