"""hcs: a distributed processor for high-content screens.

Five functions are public: `process_plate`, `open_results`, `segment_image`, `measure_nuclei` and `zprime`. They do what
the command line does. Importing the package loads neither torch nor dask.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from hcs.store.results.folder import Results

__version__ = "0.1.0"
__all__ = ["ZPrime", "measure_nuclei", "open_results", "process_plate", "segment_image", "zprime"]


class ZPrime(NamedTuple):
    """Z′ of two groups of wells: Z′ = 1 − 3(σ₊ + σ₋)/|μ₊ − μ₋| (Zhang et al. 1999)."""

    value: float
    """NaN where there is none, see ``reason``."""
    low: float
    """Lower end of the 95 % interval. A verdict goes by this number."""
    high: float
    """Upper end of the 95 % interval."""
    n: tuple[int, int]
    """Wells with a finite value: positive, negative."""
    reason: str
    """Why ``value`` is NaN; empty where it is a number."""


def process_plate(
    plate: str | Path,
    out: str | Path,
    *,
    plate_map: str | Path | None = None,
    dna: str | int | None = None,
    sensor: str | int | None = None,
    nuclei: str | int | None = None,
    wells: str | None = None,
    settings: Mapping[str, Any] | str | Path | None = None,
    workers: int | None = None,
    device: Literal["cpu", "cuda"] = "cpu",
) -> Results:
    """Find and measure every nucleus of ``plate``, make the readouts and the report in ``out``: ``hcs run``.

    ``plate`` and ``out`` are folders or URLs. ``plate_map`` is a table of wells. ``dna`` and ``sensor`` are names of
    channels, or their 0-based numbers, and so is ``nuclei``, the channel to find nuclei in where that is not ``dna``.
    ``wells`` takes names and wildcards, such as ``"B03,C*"``. ``settings`` are the
    keys of the YAML settings, or its path. ``workers`` is the number of local processes, one a core by default. A
    stopped call goes on where it stopped.

    A field that fails does not raise: ``results.fields()`` has its reason. Raises ConfigError, PlateError or
    ResultsError, which are all HcsError, for anything that can be known to be wrong before the first field. Local
    workers are processes: a script calls this below ``if __name__ == "__main__":``.

        results = hcs.process_plate("plate.zarr", "results", plate_map="map.csv", dna="DNA", sensor="CDK2")
        results.wells()[["Metadata_Well", "Status", "Count_Nuclei"]]
    """
    from hcs.config import Config, parse_config
    from hcs.engine.cluster import Workers
    from hcs.run.run import run_plate
    from hcs.store.config import read_config
    from hcs.store.location import location

    if settings is None:
        config = Config()
    elif isinstance(settings, Mapping):
        config = parse_config(dict(settings), source="settings")
    else:
        config = read_config(Path(settings))
    run_plate(
        str(plate),
        location(str(out)),
        config.override(dna=dna, sensor=sensor, nuclei=nuclei),
        plate_map=plate_map,
        wells=wells,
        workers=Workers(count=workers, device=device),
    )
    return open_results(out)


def open_results(folder: str | Path, *, plate: str | Path | None = None) -> Results:
    """The results of ``hcs run … --out folder``, a folder or URL: ``.wells()``, ``.nuclei(wells="B03")``, … as pandas.

    ``plate`` says where the plate is now, if it was moved since the run; only images and labels need it. Raises
    ResultsError where ``folder`` is no results folder or is damaged.
    """
    from hcs.store.results.folder import open_results as open_folder

    return open_folder(folder, plate=plate)


def segment_image(
    image: NDArray[Any], *, model: str = "fast", diameter_px: float | Literal["auto"] = "auto"
) -> NDArray[np.uint32]:
    """Nuclei of one image (Y, X) of any integer or float type → labels (Y, X) uint32: 0 background, 1..n nuclei.

    ``model`` is fast, accurate, sensor (for the channel of a translocating sensor), or the path of a .safetensors file.
    ``diameter_px`` is the typical diameter of the nuclei; "auto" estimates it in the image. Raises ValueError for
    pixels that are NaN or an image that is not (Y, X), FieldError where every pixel is the same, ConfigError for an
    unknown model.

        >>> import numpy as np, hcs
        >>> y, x = np.mgrid[:128, :128]
        >>> image = sum(np.hypot(y - 32 * i, x - 32 * j) < 10 for i in (1, 2, 3) for j in (1, 2, 3)) * 900 + 100
        >>> hcs.segment_image(image.astype(np.uint16)).max()
        np.uint32(9)
    """
    import numpy as np

    from hcs.commands.segment import segment_image as segment
    from hcs.config import Config
    from hcs.field.worker import load_segmenter
    from hcs.store.models import find_model

    plane = np.asarray(image)
    if plane.ndim != 2 or not np.all(np.isfinite(plane)):
        raise ValueError(f"image has shape {plane.shape}; a plane (Y, X) of finite pixels is needed")
    config = Config(model=model, diameter_px=diameter_px)
    return segment(plane, load_segmenter(find_model(model, "cpu"), "cpu", flips=False), config)


def measure_nuclei(
    labels: NDArray[Any],
    image: NDArray[Any],
    *,
    channels: tuple[str, ...] = ("DNA",),
    dna: str | None = None,
    sensor: str | None = None,
    pixel_size_um: float | None = None,
) -> pd.DataFrame:
    """One row a nucleus of ``labels`` (Y, X), measured in every channel of ``image``, (C, Y, X) or (Y, X).

    ``channels`` names the channels of ``image``; ``dna`` is the DNA stain (by default the first channel), ``sensor``
    the translocating sensor. Columns, units and definitions are those of the nucleus table
    (`hcs.measure.columns.column_dictionary`). Raises ConfigError for an unknown channel, ValueError where
    shapes do not fit or pixels are not finite.

        >>> import numpy as np, hcs
        >>> labels = np.zeros((32, 32), np.uint32); labels[8:16, 8:16] = 1
        >>> table = hcs.measure_nuclei(labels, np.where(labels, 500, 100))
        >>> table[["Nuclei_AreaShape_Area", "Nuclei_Intensity_MeanIntensity_DNA"]].iloc[0].tolist()
        [64.0, 500.0]
    """
    import numpy as np

    from hcs.measure.measure import measure_nuclei as measure
    from hcs.measure.settings import MeasureSettings

    planes = np.asarray(image)
    return measure(
        labels,
        planes[None] if planes.ndim == 2 else planes,
        channels=channels,
        dna=channels[0] if dna is None else dna,
        sensor=sensor,
        settings=MeasureSettings(),
        pixel_size_um=pixel_size_um,
    ).to_frame()


def zprime(positives: ArrayLike, negatives: ArrayLike) -> ZPrime:
    """Z′ of well values (n,) against well values (m,), with its 95 % interval; only finite values count.

    The interval is a generalised confidence interval (Weerahandi 1993); see ``docs/statistics.md`` for its coverage.
    Fewer than three wells a side, or wells that do not vary, give NaN and the reason.

        >>> import hcs
        >>> z = hcs.zprime([9.8, 10.1, 10.3, 9.9], [1.0, 1.2, 0.9, 1.1])
        >>> round(z.value, 2), z.low < z.value < z.high, z.n
        (0.88, True, (4, 4))
        >>> hcs.zprime([1.0, 2.0], [3.0, 4.0, 5.0]).reason
        '2 positive wells with a value, at least 3 needed'
    """
    from hcs.readout.screen.zprime import separate, well_sample
    from hcs.readout.settings import ReadoutSettings

    settings = ReadoutSettings()
    groups = [
        well_sample(values, name=name, settings=settings, stream=stream)
        for values, name, stream in ((positives, "positive", 1), (negatives, "negative", 0))
    ]
    found = separate(groups[0], groups[1], settings=settings).zprime
    return ZPrime(found.value, found.low, found.high, (groups[0].n, groups[1].n), found.reason)
