"""Whole cells on simulated fields: scored on the true cells, the sensor ratio's bias by what counts as the cytoplasm,
and their time beside the network's.

Run: python benchmarks/cells.py [--fields 3] [--size 1024] [--no-contours] [--time 5] [--uneven] [--model FILE]

Growing is compared with CellProfiler's propagation (centrosome) and with scikit-image's seeded watershed on the
gradient, both with the true nuclei as seeds and one Otsu threshold a field, as their users have them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd
from centrosome.propagate import propagate
from numpy.typing import NDArray
from skimage.filters import gaussian, sobel, threshold_otsu
from skimage.segmentation import watershed

from hcs.clock import Stopwatch
from hcs.config import Config
from hcs.field.worker import load_segmenter
from hcs.measure.compartments import CellRequest
from hcs.measure.measure import NucleusTable, measure_nuclei
from hcs.measure.settings import CellSettings, MeasureSettings
from hcs.plate.keys import FieldKey
from hcs.segment.predict import tune_cpu
from hcs.segment.scale import scale_for
from hcs.segment.territory import CellNetwork
from hcs.simulate.field import SimulatedField, simulate_field
from hcs.simulate.plate import lay_out_plate
from hcs.simulate.settings import SimulationSettings
from hcs.store.models import find_model, wanted_diameter

Labels = NDArray[np.uint32]
Kind = Literal["even", "uneven"]
CHANNELS = ("DNA", "CDK2")
THRESHOLDS = np.arange(0.5, 0.91, 0.05)
DENSITIES = {"sparse": 150.0, "usual": 400.0, "crowded": 550.0}
RINGS_PX = (5, 10, 25)


def fields(density: float, *, number: int, size_px: int, kind: Kind = "even") -> Iterator[SimulatedField]:
    """Fields of untreated wells."""
    planned = lay_out_plate(
        SimulationSettings(wells=12, size_px=size_px, density=density, seed=77, fields=number, cells=kind)
    )
    control = next(w for w, t in zip(planned.wells, planned.treatments, strict=True) if t.role == "negative")
    for i in range(number):
        yield simulate_field(planned, FieldKey(control, i))


def table_of(
    field: SimulatedField,
    settings: CellSettings | None,
    *,
    ring_px: int = 5,
    territory: NDArray[np.float32] | None = None,
) -> NucleusTable:
    """The true nuclei of a field, measured, with cells where ``settings`` are given, in the ``territory`` that a
    network told, if one did."""
    return measure_nuclei(
        field.labels,
        field.image,
        channels=CHANNELS,
        dna="DNA",
        sensor="CDK2",
        settings=MeasureSettings(ring_width_px=ring_px, ring_width_um=None),
        pixel_size_um=0.65,
        cells=None
        if settings is None
        else CellRequest(channel="CDK2", settings=settings.for_pixels(0.65), territory=territory),
    )


def by_propagation(field: SimulatedField) -> Labels:
    """CellProfiler's propagation, at its default regularisation of 0.05."""
    image = gaussian(field.image[1].astype(np.float64) / 65535.0, 1)
    image /= image.max()
    found, _ = propagate(image, field.labels.astype(np.int32), image > threshold_otsu(image), 0.05)
    return np.where(field.labels > 0, field.labels, found).astype(np.uint32)


def by_watershed(field: SimulatedField) -> Labels:
    """Seeded watershed on the gradient, in Otsu's foreground."""
    image = gaussian(field.image[1].astype(np.float64), 1)
    mask = (image > threshold_otsu(image)) | (field.labels > 0)
    return np.asarray(watershed(sobel(image), field.labels.astype(np.int32), mask=mask), np.uint32)


def by_hcs(method: str) -> Callable[[SimulatedField], Labels]:
    """hcs's own."""

    def grow(field: SimulatedField) -> Labels:
        cells = table_of(field, CellSettings(method=method)).cells  # type: ignore[arg-type]
        assert cells is not None
        return cells

    return grow


def by_network(network: CellNetwork, method: str) -> Callable[[SimulatedField], Labels]:
    """hcs's own, in what a network of whole cells says."""

    def grow(field: SimulatedField) -> Labels:
        territory = network.territory(field.image[1], Config().tiles)
        settings = CellSettings(method=method, model="given")  # type: ignore[arg-type]
        cells = table_of(field, settings, territory=territory).cells
        assert cells is not None
        return cells

    return grow


def network_of(path: str) -> CellNetwork:
    """The network at ``path``, at the scale for the cells around nuclei of 24 px."""
    model = find_model(path, "cpu")
    wanted = wanted_diameter(model)
    scale = Fraction(1) if wanted is None else scale_for(CellSettings().typical_px(24.0), wanted)
    return CellNetwork(load_segmenter(model, "cpu", flips=False), scale)


def nuclei_alone(field: SimulatedField) -> Labels:
    """What the scores are without any growing."""
    return field.labels


def f1_by_threshold(truth: Labels, found: Labels) -> NDArray[np.float64]:
    """F1 at every threshold of the intersection over union; both are numbered by the same nuclei."""
    number = int(truth.max())
    shared = np.zeros((number + 1, number + 1))
    np.add.at(shared, (truth.ravel(), found.ravel()), 1)
    union = shared.sum(1)[:, None] + shared.sum(0)[None] - shared
    iou = (shared / np.maximum(union, 1.0))[1:, 1:]
    return np.array([np.count_nonzero(iou > threshold) / number for threshold in THRESHOLDS])


def scores(number: int, size_px: int, *, contours: bool, kind: Kind, network: CellNetwork | None) -> pd.DataFrame:
    """Mean F1 and F1 at 0.5 and 0.9 by density and method, and CPU seconds a megapixel."""
    methods: dict[str, Callable[[SimulatedField], Labels]] = {
        "nuclei alone": nuclei_alone,
        "seeded watershed on the gradient (scikit-image)": by_watershed,
        "propagation (centrosome)": by_propagation,
        "hcs, propagation": by_hcs("propagation"),
    }
    if contours:
        methods["hcs, contours"] = by_hcs("contours")
    if network is not None:
        methods["hcs, network"] = by_network(network, "propagation")
        if contours:
            methods["hcs, network and contours"] = by_network(network, "contours")
    rows = []
    for name, density in DENSITIES.items():
        found: dict[str, list[NDArray[np.float64]]] = {method: [] for method in methods}
        seconds = dict.fromkeys(methods, 0.0)
        for field in fields(density, number=number, size_px=size_px, kind=kind):
            for method, grow in methods.items():
                began = time.process_time()
                cells = grow(field)
                seconds[method] += time.process_time() - began
                found[method].append(f1_by_threshold(field.whole_cells, cells))
        for method, curves in found.items():
            curve = np.mean(curves, axis=0)
            rows.append((name, method, curve.mean(), curve[0], curve[-1], seconds[method] / number / size_px**2 * 1e6))
    return pd.DataFrame(rows, columns=["field", "method", "mean F1", "F1 at 0.5", "F1 at 0.9", "s/MP"])


def biases(number: int, size_px: int) -> pd.DataFrame:
    """Median and quartiles of measured over true ratio, minus one, by what is taken for the cytoplasm."""
    rows = []
    for name, density in DENSITIES.items():
        errors: dict[str, list[NDArray[np.float64]]] = {}
        for field in fields(density, number=number, size_px=size_px):
            table = table_of(field, CellSettings())
            cut = table.columns["Cells_Flag_TouchesBorder"].astype(bool)
            keep = ~cut & ~field.cells["dead"].to_numpy()
            true = field.cells["ratio"].to_numpy()
            kinds = {
                f"ring of {px} px": table_of(field, None, ring_px=px).columns["Nuclei_Sensor_Ratio"] for px in RINGS_PX
            }
            kinds["ring of 5 px, brighter component"] = table.columns["Nuclei_Sensor_RatioMixture"]
            kinds["ring of 25 px, brighter component"] = table_of(field, None, ring_px=25).columns[
                "Nuclei_Sensor_RatioMixture"
            ]
            kinds["whole cytoplasm"] = table.columns["Nuclei_Sensor_RatioCytoplasm"]
            kinds["whole cytoplasm, brighter component"] = table.columns["Nuclei_Sensor_RatioCytoplasmMixture"]
            for kind, values in kinds.items():
                errors.setdefault(kind, []).append((values.astype(np.float64) / true - 1.0)[keep])
        for kind, parts in errors.items():
            error = np.concatenate(parts)
            error = error[np.isfinite(error)]
            low, middle, high = np.percentile(error, [25, 50, 75])
            rows.append((name, kind, middle, low, high, len(error)))
    return pd.DataFrame(
        rows, columns=["field", "cytoplasm", "median bias", "lower quartile", "upper quartile", "cells"]
    )


def cpu_seconds(action: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    began = time.process_time()
    action()
    return time.process_time() - began


def times(repeats: int) -> None:
    """CPU time of growing and measuring cells beside the network's, in float32 and in integers, on one field of
    2160 × 2160 px, by turns."""
    tune_cpu(threads=1)
    (field,) = fields(320.0, number=1, size_px=2160)
    config, model = Config(), find_model("fast", "cpu")
    segmenters = {
        arithmetic: load_segmenter(replace(model, arithmetic=arithmetic), "cpu", flips=False)
        for arithmetic in ("float32", "int8")
    }
    seconds: dict[str, list[float]] = {name: [] for name in ("cells", *segmenters)}
    for _ in range(repeats + 1):
        for name, segmenter in segmenters.items():
            prepared = segmenter.prepare(field.image[0], None)
            seconds[name].append(
                cpu_seconds(partial(segmenter.probabilities, prepared, config.tiles, Fraction(1), Stopwatch()))
            )
        without = cpu_seconds(lambda: table_of(field, None))
        seconds["cells"].append(cpu_seconds(lambda: table_of(field, CellSettings())) - without)
    cells = np.array(seconds.pop("cells")[1:])  # the first calls load compiled kernels
    print(f"{int(field.labels.max())} nuclei; growing and measuring cells {np.median(cells):.2f} s of CPU; by turns,")
    for name, values in seconds.items():
        shares = 100 * cells / np.array(values[1:])
        print(
            f"{np.median(shares):.1f} % ({shares.min():.1f} to {shares.max():.1f} %, {repeats} turns) of the network "
            f"in {name}, {np.median(values[1:]):.2f} s"
        )


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fields", type=int, default=3)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--no-contours", action="store_true")
    parser.add_argument("--time", type=int, default=5)
    parser.add_argument("--uneven", action="store_true", help="cells that part anywhere; no ratios then")
    parser.add_argument("--model", help="a network of whole cells")
    options = parser.parse_args()
    if options.time:
        times(options.time)
    if not options.uneven:
        print(biases(options.fields, options.size).to_string(index=False, float_format="%.3f"), flush=True)
    found = scores(
        options.fields,
        options.size,
        contours=not options.no_contours,
        kind="uneven" if options.uneven else "even",
        network=None if options.model is None else network_of(options.model),
    )
    print(found.to_string(index=False, float_format="%.3f"))


if __name__ == "__main__":
    main()
