"""`hcs train --from-plate`: a plate with a channel of nuclei in, a model that finds nuclei in another channel out.

Truth is found (or taken) in one channel and vetted; a first round of training tells what the truth lacks, a second one
makes the model; wells that neither saw say how good it is.

Long, because each round is of no use without the wells, the vetting and the card of the others.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.commands.train import train_with
from hcs.config import Config
from hcs.errors import ConfigError, FieldError
from hcs.field.worker import load_segmenter
from hcs.plate.keys import FieldKey, select_wells
from hcs.report.figures import save_figure
from hcs.report.ignored import IgnoredCrop, ignored_figure
from hcs.run.checks import declared_wells
from hcs.segment.predict import find_device, tune_cpu
from hcs.store.atomic import write_json
from hcs.store.files.images import read_image, read_label_image
from hcs.store.location import location
from hcs.store.models import find_model, read_card, read_model, write_model
from hcs.store.plate.labels import read_labels
from hcs.store.plate.reader import Plate, find_channel, open_plate, read_field, read_info
from hcs.store.plate.target import LabelTarget
from hcs.store.results.folder import Results, open_results
from hcs.train.calibrate import HEAD, calibrations, chosen, with_lowered
from hcs.train.config import read_train_settings
from hcs.train.data import INDEX
from hcs.train.held_out import HeldOut, find_held_out
from hcs.train.settings import TrainSettings
from hcs.train.truth import LACKING, REASONS, TruthSettings
from hcs.train.truth_folder import IGNORED, TRUTH, Field, Finder, ignore_lacking, write_truth
from hcs.train.wells import split_wells

Say = Callable[[str], None]

DEFAULTS = TrainSettings(
    start_from="sensor",
    widths=(16, 24, 48, 96, 192),
    steps=1500,
    crop_px=192,
    learning_rate=1e-3,
    warmup_steps=100,
    as_taken=0.15,
    scale=(0.65, 1.7),
    wide_scale=(0.4, 2.4),
    contaminated=0.1,
    textured=0.1,
    rescaled=0.5,
    translocated=0.3,
    gapped=0.35,
    faint_weight=1.5,
    evaluate_every=250,
    threads=1,
)
"""Settings of a training from a plate, where no YAML file gives others: the shipped sensor model trained on."""
CORRECTED = replace(
    DEFAULTS,
    steps=600,
    learning_rate=5e-4,
    warmup_steps=50,
    evaluate_every=100,
    kept=0.3,
)
"""Settings of a training on nuclei that were edited by hand: the run's own model, trained on a little; `start_from` is
put in."""
TRUSTED = TruthSettings(
    min_confidence=0.0, max_saturated=1.0, min_sharpness=0.0, min_signal=0.0, min_signal_share=0.0, register=False
)
"""Nuclei that somebody edited are taken as they are."""
FIRST_ROUND = 0.3
"""Of the steps."""
_MOST_PX = 200e6
"""Pixels to learn from: of larger plates fields are taken evenly, for all are in memory at once."""
_CROP_PX = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class FromPlates:
    """What to learn from."""

    plates: tuple[str, ...]
    given: str | int
    """Channel to find nuclei in, once learnt."""
    truth: str | int
    """Channel that shows them."""
    labels: str | None = None
    """Labels of the plates that are the truth; None: nuclei are found in the truth channel."""
    wells: str | None = None
    val_wells: str | None = None
    test_wells: str | None = None
    diameter_px: float | None = None
    """Of nuclei in the truth channel; None: estimated."""
    vetting: TruthSettings = field(default_factory=TruthSettings)
    corrected: str | None = None
    """Results folder: only its fields whose nuclei were edited by hand, and measured again, are learnt from."""


def train_from_plates(
    wanted: FromPlates, config_path: Path | None, out: Path, *, name: str, device: str, say: Say
) -> Path:
    """Make the truth, train twice, test; the path of the model written, ``out/name.safetensors``.

    ``out`` gets truth/ (images, labels, ignored pixels, ignored.csv), ignored.png, first/ and second/ (the rounds), and
    the model with its card. What is there of a run that was stopped is gone on from; ConfigError where that run was
    another.
    """
    find_device(device)
    if wanted.corrected is not None:
        return _train_from_corrected(wanted, config_path, out, name=name, device=device, say=say)
    settings = DEFAULTS if config_path is None else read_train_settings(config_path)
    fields = list_fields(wanted, say)
    _claim(out, wanted, settings)
    tune_cpu(settings.threads)
    truth, second = out / "truth", out / "truth-second"
    if not (truth / INDEX).is_file():
        finder = _finder(wanted, device)
        write_truth(fields, truth, finder, wanted.vetting, say=say)
    _say_truth(truth, say)
    first = settings.shortened(max(round(FIRST_ROUND * settings.steps), settings.warmup_steps + 1))
    say(f"First round, {first.steps} steps: finds what the truth lacks")
    path = train_with(first, truth, out / "first", name=name, device=device, say=say)
    if not (second / "done").is_file():
        lacking = ignore_lacking(
            truth,
            second,
            load_segmenter(find_model(str(path)), device, flips=False),
            wanted.vetting,
            tiles=Config().tiles,
            rule=settings.magnified,
        )
        (second / "done").touch()
        say(f"{lacking} nuclei that the first round sees clearly, and the truth lacks, are ignored from now on")
    save_figure(gallery(truth, second), out / "ignored.png")
    say(f"Second round, {settings.steps} steps")
    follows = replace(settings, start_from=str(path))
    path = train_with(follows, second, out / "second", name=name, device=device, say=say)
    target = out / f"{path.stem}.safetensors"
    write_calibrated(path, target, truth, device, say)
    return _finish(target, second, wanted, settings.start_from, device=device, say=say)


def from_corrected(results: Results, **options: Any) -> FromPlates:
    """What to learn from where nuclei of a run were edited by hand: its plate, its channel of nuclei, its labels;
    ``options`` are further ones of FromPlates. ConfigError where no edited nuclei were measured again."""
    if not corrected_fields(results):
        raise ConfigError(
            f"no nuclei of {results.folder} were edited and measured again; edit some, in napari by `hcs view`, give "
            f"`hcs remeasure {results.folder}`, then train"
        )
    channel = options.pop("given", None) or results.record.channels.nuclei
    target = LabelTarget.recorded(results.record.labels, results.folder, results.plate_path)
    assert target is not None  # else nothing could have been edited
    return FromPlates(
        plates=(str(location(results.plate_path).absolute()),),
        given=channel,
        truth=options.pop("truth", None) or channel,
        labels=target.name,
        corrected=str(results.folder.absolute()),
        **options,
    )


def corrected_fields(results: Results) -> tuple[FieldKey, ...]:
    """Fields of a run whose nuclei were edited by hand and measured again, in plate order."""
    entries = zip(results.record.keys, results.entries(results.record.keys), strict=True)
    return tuple(key for key, entry in entries if entry.done and entry.edited_crc32)


def _train_from_corrected(
    wanted: FromPlates, config_path: Path | None, out: Path, *, name: str, device: str, say: Say
) -> Path:
    """Train once, on the edited fields alone, beginning with the model that the run had: what somebody took away is
    wrong and what somebody added is right, so that nothing is vetted and no first round looks for what is lacking."""
    assert wanted.corrected is not None
    results = open_results(wanted.corrected, plate=wanted.plates[0])
    settings = _corrected_settings(results) if config_path is None else read_train_settings(config_path)
    fields = list_fields(wanted, say)
    _claim(out, wanted, settings)
    tune_cpu(settings.threads)
    truth = out / "truth"
    if not (truth / INDEX).is_file():
        write_truth(fields, truth, _finder(wanted, device), TRUSTED, say=say)
    _say_truth(truth, say)
    path = train_with(settings, truth, out / "first", name=name, device=device, say=say)
    target = out / f"{path.stem}.safetensors"
    card, weights = read_model(find_model(str(path)))
    write_model(target, card, weights)
    return _finish(target, truth, wanted, settings.start_from, device=device, say=say)


def _corrected_settings(results: Results) -> TrainSettings:
    """The settings for a run's model; those of the sensor keep what only a sensor's image shows."""
    record = results.record
    known = str(record.model.get("path") or record.model["name"])
    try:
        model = find_model(known if Path(known).is_file() else str(record.model["name"]))
    except ConfigError:  # the run measured labels from elsewhere, or its model is gone
        model = find_model("sensor" if record.channels.by_sensor else "fast")
    network = model.networks[0]
    widths = tuple(read_card(network)["network"].get("widths", DEFAULTS.widths))
    settings = replace(CORRECTED, start_from=network.path, widths=widths)
    if record.channels.by_sensor:
        return settings
    return replace(settings, translocated=0.0, gapped=0.0, faint_weight=1.0)


def list_fields(wanted: FromPlates, say: Say = print) -> list[Field]:
    """The fields of the plates' wells, each with its split; of more than is kept in memory, some of every well.

    ConfigError for an unknown channel or well, or too few wells.
    """
    plates = [open_plate(str(location(path).absolute())) for path in wanted.plates]
    if len({plate.name for plate in plates}) < len(plates):
        raise ConfigError("two of the plates have one name, so their wells cannot be told apart; rename one")
    corrected = None if wanted.corrected is None else _corrected_results(wanted)
    chosen = {plate.name: select_wells(declared_wells(plate), wanted.wells) for plate in plates}
    keys = [(plate, entry.key) for plate in plates for entry in plate.fields if entry.key.well in chosen[plate.name]]
    if corrected is not None:
        edited = frozenset(corrected_fields(corrected))
        keys = [(plate, key) for plate, key in keys if key in edited]
        say(f"{len(keys)} fields whose nuclei were edited by hand are learnt from")
    wells = list(dict.fromkeys(f"{plate.name}/{key.well}" for plate, key in keys))
    splits = split_wells(
        wells,
        val=[well for well in _named(plates, wanted.val_wells) if well in wells],
        test=[well for well in _named(plates, wanted.test_wells) if well in wells],
    )
    pairs = {plate.name: _channels(plate, wanted) for plate in plates}
    kept = _thinned(keys)
    if len(kept) < len(keys):
        say(f"{len(kept):,} of {len(keys):,} fields are learnt from: as many as {_MOST_PX / 1e6:.0f} megapixels hold")
    return [
        Field(
            name=f"{plate.name}_{key.well}_{key.field}",
            well=f"{plate.name}/{key.well}",
            split=splits[f"{plate.name}/{key.well}"],
            read=partial(_read, plate, key, pairs[plate.name]),
            labels=_labels_of(wanted, corrected, plate, key),
            source=plate.name,
        )
        for plate, key in kept
    ]


def _corrected_results(wanted: FromPlates) -> Results:
    return open_results(str(wanted.corrected), plate=wanted.plates[0])


def _labels_of(
    wanted: FromPlates, corrected: Results | None, plate: Plate, key: FieldKey
) -> Callable[[], NDArray[np.integer]] | None:
    """What reads a field's labels: of edited ones those that were measured, which is checked; None without any."""
    if corrected is not None:
        return partial(corrected.labels, str(key.well), key.field)
    return None if wanted.labels is None else partial(read_labels, plate.path, key, wanted.labels)


def gallery(truth: Path, second: Path) -> Any:
    """Figure of some of what was ignored, by reason."""
    table = pd.read_csv(second / IGNORED)
    crops: dict[str, Sequence[IgnoredCrop]] = {}
    for reason in REASONS:
        rows = table[table["reason"] == reason]
        some = rows[["name", "y", "x"]].iloc[:: max(len(rows) // 8, 1)].to_numpy().tolist()
        crops[reason] = [_crop(truth, str(name), y, x, outline=reason != LACKING) for name, y, x in some]
    return ignored_figure(crops, {str(k): int(v) for k, v in table["reason"].value_counts().items()})


def _crop(truth: Path, name: str, y: float, x: float, *, outline: bool) -> IgnoredCrop:
    given, shown = (read_image(truth / kind / f"{name}.tif") for kind in ("images", TRUTH))
    labels = read_label_image(truth / "labels" / f"{name}.tif")
    top, left = (max(0, round(place) - _CROP_PX) for place in (y, x))
    window = slice(top, top + 2 * _CROP_PX), slice(left, left + 2 * _CROP_PX)
    value = labels[min(round(y), labels.shape[0] - 1), min(round(x), labels.shape[1] - 1)]
    mine = (labels[window] == value) & (value > 0) & outline
    return IgnoredCrop(name, given[window], shown[window], mine.astype(np.int32))


def _named(plates: Sequence[Plate], pattern: str | None) -> list[str]:
    """Wells that a pattern names, on every plate."""
    if pattern is None:
        return []
    return [f"{plate.name}/{well}" for plate in plates for well in select_wells(declared_wells(plate), pattern)]


def _channels(plate: Plate, wanted: FromPlates) -> tuple[int, int]:
    """Index of the input and of the truth channel; ConfigError where the plate has no such channel."""
    for entry in plate.fields:
        try:
            names = read_info(plate, entry.key).channels
        except FieldError:
            continue
        given = find_channel(names, wanted.given, option="--input")
        truth = find_channel(names, wanted.truth, option="--truth")
        if given == truth and wanted.labels is None:
            raise ConfigError(
                f"--input and --truth are both {names[given]!r}; name two channels, or give --truth-labels"
            )
        return given, truth
    raise ConfigError(f"{plate.path}: not one field can be read; check the plate with `hcs plan`")


def _read(plate: Plate, key: FieldKey, channels: tuple[int, int]) -> tuple[NDArray[Any], NDArray[Any]]:
    given, truth = read_field(plate, key, channels=channels)
    return given, truth


def _thinned(keys: Sequence[tuple[Plate, FieldKey]]) -> list[tuple[Plate, FieldKey]]:
    """All fields, or of every well as many as together have `_MOST_PX`, the first ones; at least one a well."""
    plate, key = keys[0]
    try:
        info = read_info(plate, key)
        most = max(int(_MOST_PX // max(info.shape[1] * info.shape[2], 1)), 1)
    except FieldError:
        return list(keys)
    wells = len({(plate.name, key.well) for plate, key in keys})
    a_well, taken = max(most // wells, 1), dict[tuple[str, str], int]()
    kept = []
    for plate, key in keys:
        well = (plate.name, str(key.well))
        taken[well] = taken.get(well, 0) + 1
        if taken[well] <= a_well:
            kept.append((plate, key))
    return kept


def _finder(wanted: FromPlates, device: str) -> Finder:
    """The shipped model for nuclear stains."""
    config = Config()
    segmenter = load_segmenter(find_model("auto", device), device, flips=False)
    return Finder(segmenter=segmenter, tiles=config.tiles, instances=config.instances, diameter_px=wanted.diameter_px)


def _claim(out: Path, wanted: FromPlates, settings: TrainSettings) -> None:
    """Begin ``out``, or see that what is in it was begun with the same wishes; else ConfigError."""
    asked = {name: value for name, value in asdict(wanted).items() if name != "corrected" or value is not None}
    plain = json.loads(json.dumps({"wanted": asked, "settings": settings.plain()}))
    record = out / "from-plate.json"
    if record.is_file():
        if json.loads(record.read_text()) != plain:
            raise ConfigError(f"{out} holds a training from other plates, wells or settings; give another --out")
        return
    if out.is_dir() and any(path.name[0] != "." for path in out.iterdir()):
        raise ConfigError(f"--out {out} is not empty and holds no training from a plate; give a new folder")
    out.mkdir(parents=True, exist_ok=True)
    write_json(record, plain)


def _say_truth(truth: Path, say: Say) -> None:
    index, ignored = pd.read_csv(truth / INDEX), pd.read_csv(truth / IGNORED)
    for split, rows in index.groupby("split", sort=False):
        say(f"{split}: {rows['well'].nunique()} wells, {len(rows)} fields, {rows['nuclei'].sum():,} nuclei")
    for reason, count in ignored["reason"].value_counts().items():
        say(f"  ignored: {count:,} {reason}")


def _finish(target: Path, learnt: Path, wanted: FromPlates, start_from: str, *, device: str, say: Say) -> Path:
    """Complete the card of the model ``target``, which learnt from the folder ``learnt``: with what the wells that were
    held out say of it, and of the model that it began with."""
    truth = target.with_name("truth")
    card = read_card(find_model(str(target)))
    splits = set(pd.read_csv(truth / INDEX)["split"])
    card["input_channel"], card["truth_channel"] = str(wanted.given), str(wanted.labels or wanted.truth)
    index = pd.read_csv(truth / INDEX)
    card["truth_moved_px"] = [int(index[f"moved_{axis}_px"].iloc[0]) for axis in "yx"]
    reasons = pd.read_csv(learnt / IGNORED)["reason"].value_counts()
    card["ignored"] = {str(reason): int(count) for reason, count in reasons.items()}
    if wanted.corrected is not None:
        card["corrected"] = f"nuclei edited by hand in {len(pd.read_csv(truth / INDEX))} fields of {wanted.plates[0]}"
    if "test" in splits:
        tested = _tested(target, truth, device)
        card |= tested.card(f"{len(tested.wells)} held-out wells of {', '.join(map(str, wanted.plates))}")
        before = None if not start_from else _tested(start_from, truth, device)
        card["held_out"] |= _beside(before)
        say(f"Held-out wells: F1 at IoU 0.5 {tested.f1():.3f}{_verdict(before, tested)}")
    else:
        card["held_out"] = "no test: two wells leave none"
        say("No well was left to test with: give three or more")
    write_json(target.with_suffix(".json"), card)
    return target


def _tested(model: object, truth: Path, device: str) -> HeldOut:
    segmenter = load_segmenter(find_model(str(model)), device, flips=False)
    return find_held_out(truth, "test", segmenter, Config().tiles)


def _beside(before: HeldOut | None) -> dict[str, Any]:
    """What the model that training began with found in the same wells, for the card."""
    if before is None:
        return {}
    scores = before.card("")["held_out"]
    return {"before training": {name: scores[name] for name in ("F1 at IoU 0.5", "mean F1 over IoU 0.50-0.90")}}


def _verdict(before: HeldOut | None, after: HeldOut) -> str:
    """Whether training helped, by the wells that were held out."""
    if before is None:
        return ""
    better = after.f1() - before.f1()
    if not np.isfinite(better):
        return "; whether training helped cannot be told, for there are no nuclei in them"
    count = sum(len(field.true_hit) for field in after.fields)
    word = "it helped" if better > 0 else "it did not help" if better < 0 else "no difference"
    return f", before training {before.f1():.3f}: {word} on {count:,} nuclei of {len(after.wells)} well(s)"


def write_calibrated(path: Path, target: Path, truth: Path, device: str, say: Say) -> None:
    """Write the model at ``path`` to ``target``, its background as likely as suits the val split of ``truth``; the card
    says by how much it was changed. A network that is not of three classes and added skips stays as it is."""
    card, weights = read_model(find_model(str(path)))
    segmenter = load_segmenter(find_model(str(path)), device, flips=False)
    if HEAD in weights and segmenter.recipe.postprocess == "cores":
        found = calibrations(truth, "val", segmenter, Config().tiles)
        best = chosen(found)
        weights = with_lowered(weights, best.shift)
        card["calibration"] = {
            "background logit lowered by": best.shift,
            "on": "val, by the size of the nuclei; the scores above are of the network before",
            "tried": [
                {
                    "by": each.shift,
                    "F1 at IoU 0.5": round(each.f1, 4),
                    "area over the true one": _rounded(each.area),
                    "KS distance": _rounded(each.distance),
                }
                for each in found
            ],
        }
        say(f"Background's logit lowered by {best.shift:g}: F1 at IoU 0.5 {best.f1:.3f} on the wells that choose")
    write_model(target, card, weights)


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 4)
