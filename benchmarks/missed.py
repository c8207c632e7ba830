"""Nuclei that are not found, by kind: what to mend first.

    python benchmarks/missed.py ../shared/data/nuclei [--model fast] [--split val] [--figure docs/missed.jpg]

Every image is segmented at the default settings, the size of its nuclei estimated. A true nucleus without a found one
at IoU > 0.5 is of the first kind in ``KINDS`` that fits. For each kind the table says how many there are, in how many
images, what F1 at 0.5 would gain, averaged over images, if all of them were found, and what the network made of their
pixels: ``seen`` where the mean probability of a nucleus exceeds the threshold of the foreground (then post-processing
or the outline is at fault), ``partly`` where that of some pixel does, else ``unseen``. A second table has the images
that lose most. The figure shows examples: the true outline of the nucleus in red, of others in green, what was found in
blue.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from hcs.config import Config
from hcs.evaluate.matching import Matching, match
from hcs.field.worker import load_segmenter
from hcs.run.diameter import image_diameter
from hcs.segment.predict import tune_cpu
from hcs.segment.segmenter import Segmenter
from hcs.store.files.images import read_image
from hcs.store.models import find_model
from hcs.train.data import read_index

KINDS = {
    "tiny": "area below 0.15 of the image's median: debris and micronuclei that were drawn",
    "cut": "at the border, less than half the median area",
    "merged": "found together with another one",
    "apart": "one outline drawn around what is found as nuclei that do not touch",
    "split": "found in pieces",
    "outline": "found, at IoU 0.1 to 0.5",
    "small": "not found, area below 0.35 of the median",
    "dim": "not found, less than half as bright above its surroundings as the image's median",
    "blurred": "not found, outline less than half as sharp as the image's median",
    "other": "not found",
}
_TOUCHES, _FOUND = 0.1, 0.5
_NEAR_PX = 4
Image = NDArray[np.float32]
Labels = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Seen:
    """One image, its truth, what was found, and what the network says of every pixel."""

    name: str
    field: Image
    truth: Labels
    found: Labels
    nucleus: Image
    """Probability of a nucleus."""
    matching: Matching
    estimated_px: float


def see(name: str, image: NDArray[Any], truth: Labels, segmenter: Segmenter, config: Config) -> Seen:
    """Segment one image as a user's is."""
    field = segmenter.prepare(image)
    size = image_diameter(field, segmenter, config)
    probabilities = segmenter.probabilities(field, config.tiles, size.scale)
    found = segmenter.labels(probabilities, config.instances.for_field(None, size.scale)).astype(np.int32)
    nucleus = np.asarray(1.0 - probabilities[0], np.float32)
    return Seen(name, field, truth, found, nucleus, match(truth, found), size.px)


def nuclei(seen: Seen, threshold: float) -> pd.DataFrame:
    """One row a true nucleus: where, how it was found, and what it looks like beside the others of its image."""
    best = np.zeros(seen.matching.n_true)
    np.maximum.at(best, seen.matching.pair_true, seen.matching.pair_iou)
    touch = seen.matching.pair_iou > _TOUCHES
    pairs = seen.matching.pair_true[touch], seen.matching.pair_predicted[touch]
    by_true = np.bincount(pairs[0], minlength=seen.matching.n_true)
    by_found = np.bincount(pairs[1], minlength=seen.matching.n_predicted)
    together = np.zeros(seen.matching.n_true, bool)
    np.logical_or.at(together, pairs[0], by_found[pairs[1]] > 1)
    slope = np.hypot(cv2.Sobel(seen.field, cv2.CV_32F, 1, 0), cv2.Sobel(seen.field, cv2.CV_32F, 0, 1))
    rows, boxes = [], ndimage.find_objects(seen.truth)
    for k, label in enumerate(np.unique(seen.truth[seen.truth > 0])):
        box = _wider(boxes[label - 1])
        mask, around = _mask_and_around(seen.truth[box], label)
        outline = mask & (cv2.erode(mask.view(np.uint8), np.ones((3, 3), np.uint8)) == 0)
        light, inside = seen.field[box], seen.nucleus[box][mask]
        contrast = float(light[mask].mean() - light[around].mean()) if around.any() else float(light[mask].mean())
        rows.append(
            {
                "Image": seen.name,
                "Label": int(label),
                "IoU": best[k],
                "Pieces": by_true[k],
                "Together": together[k],
                "Apart": by_true[k] > 1 and _apart(seen.found[box], mask),
                "Area": int(mask.sum()),
                "Border": any(
                    side.start == 0 or side.stop == length
                    for side, length in zip(boxes[label - 1], seen.truth.shape, strict=True)
                ),
                "Contrast": contrast,
                "Sharpness": float(slope[box][outline].mean()) / max(abs(contrast), 1e-3),
                "Seen": "seen" if inside.mean() > threshold else "partly" if inside.max() > threshold else "unseen",
            }
        )
    table = pd.DataFrame(rows)
    for column in ("Area", "Contrast", "Sharpness"):
        table[column] /= table[column].median()
    table["Kind"] = [kind_of(row) for row in table.to_dict("records")]
    return table


def kind_of(row: dict[str, Any]) -> str:
    """The first of ``KINDS`` that fits; empty for a nucleus that was found."""
    missed = row["Pieces"] == 0
    fits = {
        "": row["IoU"] > _FOUND,
        "tiny": row["Area"] < 0.15,
        "cut": row["Border"] and row["Area"] < 0.5,
        "merged": row["Together"],
        "apart": row["Apart"],
        "split": row["Pieces"] > 1,
        "outline": not missed,
        "small": row["Area"] < 0.35,
        "dim": row["Contrast"] < 0.5,
        "blurred": row["Sharpness"] < 0.5,
        "other": True,
    }
    return next(kind for kind, fit in fits.items() if fit)


def _wider(box: tuple[slice, slice]) -> tuple[slice, slice]:
    y, x = (slice(max(side.start - 2 * _NEAR_PX, 0), side.stop + 2 * _NEAR_PX) for side in box)
    return y, x


def _mask_and_around(truth: Labels, label: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """A nucleus and the background near it."""
    mask = truth == label
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _NEAR_PX + 1, 2 * _NEAR_PX + 1))
    return mask, (cv2.dilate(mask.view(np.uint8), disc) > 0) & (truth == 0)


def _apart(found: Labels, mask: NDArray[np.bool_]) -> bool:
    """Whether the larger of what is found in a nucleus lies in pieces that do not touch."""
    inside = (mask & (found > 0)).view(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(inside, connectivity=8)
    return int((stats[1:, cv2.CC_STAT_AREA] >= 0.1 * mask.sum()).sum()) > 1


def by_kind(table: pd.DataFrame, looked_at: dict[str, Seen]) -> str:
    """Markdown: kinds, how many, what they cost, what the network made of them."""
    lines = [
        "| kind | nuclei | of all | images | F1 at 0.5 if found | seen | partly | unseen | what |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for kind, what in KINDS.items():
        own = table[table["Kind"] == kind]
        lost = own["Image"].value_counts()
        gain = sum(_gain(looked_at[name].matching, int(count)) for name, count in lost.items()) / len(looked_at)
        said = own["Seen"].value_counts()
        cells = [str(said.get(key, 0)) for key in ("seen", "partly", "unseen")]
        lines.append(
            f"| {kind} | {len(own)} | {len(own) / len(table):.1%} | {len(lost)} | +{gain:.4f} | "
            f"{' | '.join(cells)} | {what} |"
        )
    return "\n".join(lines)


def _gain(matching: Matching, count: int) -> float:
    """What F1 at 0.5 gains where ``count`` more nuclei are found."""
    hits, total = matching.true_positives(_FOUND), matching.n_true + matching.n_predicted
    return 2.0 * (hits + count) / (total + count) - 2.0 * hits / total


def by_image(table: pd.DataFrame, looked_at: dict[str, Seen], most: int) -> str:
    """Markdown: the images that lose most, and of which kinds."""
    f1 = {name: seen.matching.f1(_FOUND) for name, seen in looked_at.items()}
    kinds = [kind for kind in KINDS if (table["Kind"] == kind).any()]
    lines = ["| image | true | found | F1 at 0.5 | true size, px | estimated | " + " | ".join(kinds) + " |"]
    lines.append("|---" * (6 + len(kinds)) + "|")
    for name in sorted(f1, key=lambda name: f1[name])[:most]:
        seen, own = looked_at[name], table[table["Image"] == name]["Kind"].value_counts()
        true_px = float(np.median(2.0 * np.sqrt(seen.matching.true_area / np.pi)))
        lines.append(
            f"| {name} | {seen.matching.n_true} | {seen.matching.n_predicted} | {f1[name]:.3f} | {true_px:.0f} | "
            f"{seen.estimated_px:.0f} | " + " | ".join(str(own.get(kind, 0)) for kind in kinds) + " |"
        )
    return "\n".join(lines)


def wrong_size(looked_at: dict[str, Seen]) -> int:
    """Images whose nuclei were taken for 1.5 times as large or small as they are, or of which no size was told."""
    ratio = [
        seen.estimated_px / float(np.median(2.0 * np.sqrt(seen.matching.true_area / np.pi)))
        for seen in looked_at.values()
        if seen.matching.n_true
    ]
    return sum(not 1 / 1.5 < r < 1.5 for r in ratio)


def draw(table: pd.DataFrame, looked_at: dict[str, Seen], path: Path, *, each: int = 8, side: int = 120) -> None:
    """A row of examples of every kind that there is, drawn by chance."""
    rows = []
    for kind in KINDS:
        own = table[table["Kind"] == kind]
        if own.empty:
            continue
        chosen = own.sample(min(each, len(own)), random_state=0)
        tiles = [_example(looked_at[row["Image"]], int(row["Label"]), side) for row in chosen.to_dict("records")]
        tiles += [np.full((side, side, 3), 255, np.uint8)] * (each - len(tiles))
        name = np.full((side, 90, 3), 255, np.uint8)
        cv2.putText(name, kind, (6, side // 2), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
        rows.append(np.hstack([name, *tiles]))
    cv2.imwrite(str(path), np.vstack(rows))


def _example(seen: Seen, label: int, side: int) -> NDArray[np.uint8]:
    """A nucleus in the middle of what surrounds it, at its own contrast."""
    middle = [round(float(c.mean())) for c in np.nonzero(seen.truth == label)]
    half = max(20, round(1.3 * float(np.sqrt(np.median(seen.matching.true_area)))))
    y, x = (slice(c, c + 2 * half) for c in middle)
    cut = [np.pad(plane, half)[y, x] for plane in (seen.field, seen.truth, seen.found)]
    light, truth, found = (cv2.resize(a.astype(np.float32), (side, side), interpolation=cv2.INTER_NEAREST) for a in cut)
    low, high = np.percentile(light, (1.0, 99.5))
    grey = (np.clip((light - low) / max(float(high - low), 1e-6), 0.0, 1.0) * 255).astype(np.uint8)
    shown = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
    drawn = ((found, (255, 160, 0)), (truth * (truth != label), (0, 200, 0)), (truth == label, (0, 0, 255)))
    for labels, colour in drawn:
        lines = labels.astype(np.float32)
        shown[(cv2.dilate(lines, np.ones((3, 3))) != lines) & (cv2.erode(lines, np.ones((3, 3))) == lines)] = colour
    return np.asarray(shown, np.uint8)


def main() -> None:
    """Segment, sort what was missed, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="fast")
    parser.add_argument("--split", default="val")
    parser.add_argument("--images", type=int, default=10, help="rows of the table of images")
    parser.add_argument("--figure", type=Path)
    arguments = parser.parse_args()
    tune_cpu(1)
    config, segmenter = Config(), load_segmenter(find_model(arguments.model), "cpu", flips=False)
    index = read_index(arguments.data)
    looked_at, tables = {}, []
    for row in index[index["split"] == arguments.split].sort_values("name").to_dict("records"):
        truth = read_image(arguments.data / row["labels"]).astype(np.int32)
        seen = see(str(row["name"]), read_image(arguments.data / row["images"]), truth, segmenter, config)
        looked_at[seen.name] = seen
        tables.append(nuclei(seen, config.instances.foreground))
    table = pd.concat(tables)
    lost = table[table["Kind"] != ""]
    print(
        f"{arguments.model}: {len(lost)} of {len(table)} nuclei of {len(looked_at)} {arguments.split} images are not "
        f"found at IoU > {_FOUND}; in {wrong_size(looked_at)} images their size is misjudged by half or more\n"
    )
    print(by_kind(table, looked_at))
    print("\n" + by_image(lost, looked_at, arguments.images))
    if arguments.figure:
        draw(table, looked_at, arguments.figure)


if __name__ == "__main__":
    main()
