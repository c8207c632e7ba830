"""What intervals and hits are worth, on populations with known truth.

    python benchmarks/intervals.py [--plates 2000] [--screens 200] [--out docs/coverage.md]

Prints Markdown tables: how many of the plates' 95 % intervals of Z', robust Z', SSMD and EC50 hold the true value, how
many null plates have a false hit beside effects of the position, wider samples and heavy tails, and how many planted
hits are found. Seeds are fixed, so that the same figures come out again.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from hcs.readout.screen.logistic import Curve, fit_curve, replicate_weights, response
from hcs.readout.screen.zprime import compare_wells
from hcs.readout.settings import ReadoutSettings

sys.path[:0] = [str(Path(__file__).parents[1] / "tests" / folder) for folder in ("readout", "")]
from null_plates import called  # noqa: E402

_SIDES = ((3, 3), (4, 4), (4, 8), (3, 16), (8, 8), (16, 16))
_SDS = ((1.0, 1.0), (3.0, 1.0), (1.0, 3.0))
_NULL: tuple[dict[str, Any], ...] = (
    {"noise": "t3"},
    {"position": "corner", "wider": 1.5, "noise": "t3"},
    {},
    {"position": "gradient"},
    {"position": "edge"},
    {"position": "rows"},
    {"position": "columns", "wider": 1.5},
    {"position": "corner"},
)
_PLANTED = ((384, 1, 4.0), (384, 1, 6.0), (384, 1, 8.0), (96, 1, 8.0), (384, 3, 3.0), (384, 3, 4.0))
_FRESH = 10_000_000  # seeds from here on took no part in any choice; planted hits half a million on


def separation(plates: int) -> Iterator[str]:
    """Coverage of Z', robust Z' and SSMD: one line of a table per pair of sides."""
    yield "| positives, negatives | SD | Z′ | robust Z′ | SSMD | Z′ too high | mean robust Z′ (truth 0.5) |"
    yield "|---|---|---|---|---|---|---|"
    settings = ReadoutSettings(draws=2000)
    for n, m in _SIDES:
        for a, b in _SDS:
            rng = np.random.default_rng((n, m, int(a), int(b)))
            gap = 3 * (a + b) / 0.5
            truths = (0.5, 0.5, gap / math.hypot(a, b))
            inside, above, robust = np.zeros(3), 0, 0.0
            for _ in range(plates):
                found = compare_wells(rng.normal(gap, a, n), rng.normal(0, b, m), settings=settings)
                three = (found.zprime, found.robust_zprime, found.ssmd)
                inside += [s.low <= t <= s.high for s, t in zip(three, truths, strict=True)]
                above += found.zprime.low > 0.5
                robust += found.robust_zprime.value
            shares = " | ".join(f"{share:.3f}" for share in inside / plates)
            yield f"| {n}, {m} | {a:g}, {b:g} | {shares} | {above / plates:.3f} | {robust / plates:.2f} |"


def curves(plates: int) -> Iterator[str]:
    """Coverage of EC50 on all plates, and of all parameters on those where a curve is given: its EC50 is closed."""
    yield "| true EC50 (doses 1 to 256) | Hill | wells a dose | EC50 | closed | then: EC50 | Hill | start | end |"
    yield "|---|---|---|---|---|---|---|---|---|"
    doses = np.log10(np.geomspace(1, 256, 9))
    for ec50, hill in ((4.0, 1.2), (16.0, 0.7), (16.0, 1.2), (16.0, 2.5), (128.0, 1.2), (512.0, 1.2), (2560.0, 1.2)):
        for k in (1, 3):
            rng = np.random.default_rng((int(ec50), k, int(10 * hill)))
            x = np.concatenate([np.full(8, -np.inf), np.repeat(doses, k)])
            # the effect at the highest dose is 10 SD wherever the curve would end
            end = 10 / float(response(doses[-1:], math.log10(ec50), hill, 0, 1)[0])
            truth = np.array([math.log10(ec50), hill, 0.0, end])
            inside, closed, covered = 0, 0, np.zeros(4)
            for _ in range(plates):
                y = response(x, math.log10(ec50), hill, 0, end) + rng.standard_normal(x.size)
                curve = fit_curve(x, y, replicate_weights(x, y), confidence=0.95)
                inside += curve.low <= truth[0] <= curve.high
                if np.isfinite(curve.low) and curve.high <= doses[-1]:
                    closed += 1
                    covered += [low <= t <= high for (low, high), t in zip(intervals(curve), truth, strict=True)]
            shares = " | ".join(f"{share:.3f}" for share in covered / closed) if closed > plates // 20 else " | | | "
            yield f"| {ec50:g} | {hill:g} | {k} | {inside / plates:.3f} | {closed / plates:.3f} | {shares} |"


def intervals(curve: Curve) -> Iterator[tuple[float, float]]:
    """Of log EC50, slope and the two ends, as they are printed."""
    yield curve.low, curve.high
    yield from (curve.hill_ends, curve.start_ends, curve.end_ends)


def screens(plates: int) -> Iterator[str]:
    """Null plates with a false hit, and planted hits found. Controls fill the outer columns."""
    yield "| wells | effects, noise | null plates with a false hit |"
    yield "|---|---|---|"
    for size in (384, 96):
        for plate in _NULL:
            false = sum(bool(called(_FRESH + seed, size=size, **plate)) for seed in range(plates))
            what = ", ".join(f"{key} {value}" for key, value in plate.items()) or "none, gaussian"
            yield f"| {size} | {what} | {false} of {plates} |"
    yield ""
    yield "| wells | wells a compound | effect, SD | of 6 planted compounds found |"
    yield "|---|---|---|---|"
    for size, replicates, effect in _PLANTED:
        common: dict[str, Any] = {"size": size, "replicates": replicates, "hits": 6, "effect": effect}
        seeds = range(_FRESH + 500_000, _FRESH + 500_000 + plates)
        found = [sum(compound < 6 for compound in called(seed, **common)) / 6 for seed in seeds]
        yield f"| {size} | {replicates} | {effect:g} | {np.mean(found):.2f} |"


def main() -> None:
    """Print all tables; write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plates", type=int, default=2000)
    parser.add_argument("--screens", type=int, default=200)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", choices=("separation", "curves", "screens"))
    asked = parser.parse_args()
    lines = []
    for name, title, rows in (
        ("separation", "Z′ and SSMD", separation(asked.plates)),
        ("curves", "Curves", curves(max(asked.plates // 4, 1))),
        ("screens", "Hits", screens(asked.screens)),
    ):
        if asked.only not in (None, name):
            continue
        for line in chain((f"## {title}", ""), rows, ("",)):
            print(line, flush=True)
            lines.append(line)
    if asked.out:
        asked.out.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
