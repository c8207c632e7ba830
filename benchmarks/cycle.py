"""How far cell-cycle fractions are off: wells of known phases, fitted with the model of an asynchronous plate.

For each population: wells accepted, the mean error (bias) and the root mean square error of G1, S and G2M in points of
the accepted ones, and the usual reason of the refused ones. The plate's model comes from eight negative-control wells.

Run: python benchmarks/cycle.py [--seeds N] [--stain-cv CV] [--only WORD]
"""

from __future__ import annotations

import argparse
from collections import Counter

import numpy as np

from hcs.readout.cycle.deanjett import CycleFit
from hcs.readout.cycle.fits import CycleFits, fit_plate, fit_well, margins
from hcs.readout.settings import ReadoutSettings
from hcs.simulate.contents import POPULATIONS, Contents, Population

SETTINGS = ReadoutSettings()


def plate_of(kind: Contents, seed: int) -> CycleFits:
    """The fit of eight negative-control wells of 1,000 nuclei."""
    rng = np.random.default_rng(10_000 + seed)
    return fit_plate([kind.draw(rng, 1000)[0] for _ in range(8)], 0, SETTINGS)


def one(population: Population, plate: CycleFits, seed: int) -> tuple[CycleFits, np.ndarray]:
    content, truth = population.contents.draw(np.random.default_rng(seed), population.n)
    assert isinstance(plate.deanjett, CycleFit)
    model = plate.deanjett.model
    known = {"spread": plate.spread, "peak_gain": plate.peak_gain}
    return fit_well(content, model, SETTINGS, gated=0, saturated=float("nan"), **known), truth


def line(population: Population, plates: list[CycleFits], seeds: int, model: str) -> str:
    errors, covered, reasons = [], [], Counter[str]()
    for seed in range(seeds):
        fits, truth = one(population, plates[seed % len(plates)], seed)
        fit = fits.deanjett if model == "djf" else fits.watson
        if isinstance(fit, CycleFit):
            errors.append(100 * (fit.weights - truth)[1:4])
            covered.append((np.abs(fit.weights - truth) <= margins(fit))[1:4])
        else:
            reasons[fit] += 1
    told = np.array(errors).reshape(-1, 3)
    bias = " ".join(f"{b:6.1f}" for b in told.mean(axis=0)) if len(told) else " " * 20
    rms = " ".join(f"{b:5.1f}" for b in np.sqrt((told**2).mean(axis=0))) if len(told) else " " * 17
    worst = f"{np.abs(told).max():5.1f}" if len(told) else " " * 5
    within = f"{100 * np.mean(covered):4.0f}" if len(told) else " " * 4
    usual = reasons.most_common(1)[0][0] if reasons else ""
    return f"{population.name:38} {len(told):3}/{seeds:<3} {bias}  {rms}  {worst} {within}  {usual[:110]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--stain-cv", type=float, default=0.02, help="of the plate's wells")
    parser.add_argument("--only", default="")
    parser.add_argument("--model", choices=["djf", "watson"], default="djf")
    options = parser.parse_args()
    plates = {
        cv: [plate_of(Contents(cv=cv, stain_cv=options.stain_cv), seed) for seed in range(3)]
        for cv in sorted({p.contents.cv for p in POPULATIONS})
    }
    print(f"{'population':38} accepted   bias of G1, S, G2M      rms                worst  in %  refused because")
    for population in POPULATIONS:
        if options.only in population.name:
            print(line(population, plates[population.contents.cv], options.seeds, options.model), flush=True)


if __name__ == "__main__":
    main()
