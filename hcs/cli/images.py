"""`hcs segment`, `evaluate`, `train`: folders of single images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hcs.cli.common import EXIT_FAILED_WELLS, FILE, FOLDER, config_options, configuration


@click.command(short_help="Find nuclei in a folder of single images.")
@click.argument("images", type=FOLDER)
@click.argument("labels", type=FOLDER)
@config_options
@click.option("--method", type=click.Choice(["otsu", "advanced"]), help="Use a classical method, not a model.")
@click.option("--overwrite-labels", is_flag=True, help="Replace label images that hcs did not write.")
def segment(
    images: Path,
    labels: Path,
    config_path: Path | None,
    model: str | None,
    diameter_px: float | None,
    device: str,
    method: str | None,
    overwrite_labels: bool,
) -> int:
    """Find nuclei in every 2-D .png and .tif of IMAGES; write label images of the same names to LABELS.

    The size of the nuclei is estimated in each image. Label images are 16-bit, or 32-bit TIFF where an image has more
    than 65,535 nuclei. 0 is background, 1..n are nuclei.
    """
    from hcs.commands.segment import segment_folder

    config = configuration(config_path, model=model, diameter_px=diameter_px)
    summary = segment_folder(
        images, labels, config, device=device, method=method, overwrite=overwrite_labels, say=click.echo
    )
    total = sum(summary.nuclei.values())
    click.echo(f"{total:,} nuclei in {len(summary.nuclei)} images; {len(summary.failed)} failed")
    return EXIT_FAILED_WELLS if summary.failed else 0


@click.command(short_help="Score label images against the truth.")
@click.argument("truth", type=FOLDER)
@click.argument("predictions", type=FOLDER, nargs=-1, required=True)
@click.option("--out", required=True, type=FOLDER, help="Folder for tables, figures and evaluation.html.")
@click.option("--ignore", type=FOLDER, help="Folder of images; pixels other than 0 are not scored.")
@click.option("--images", type=FOLDER, help="Folder of images: nuclei are measured, the worst fields shown.")
@click.option(
    "--stratify-by",
    help="Score by groups of nuclei: area, mean, content (DNA), ratio (ring / nucleus), or a column of the nucleus "
    "table.  [default: mean, with --images]",
)
@click.option("--value-bounds", help="Limits of low, medium, high: A,B.  [default: terciles of the truth]")
@click.option("--size-bounds", help="Limits of tiny, small, normal, large area: A,B,C.  [default: quantiles]")
@click.option("--tracks", is_flag=True, help="Score tracks; folders are those of the Cell Tracking Challenge.")
def evaluate(
    truth: Path,
    predictions: tuple[Path, ...],
    out: Path,
    ignore: Path | None,
    images: Path | None,
    stratify_by: str | None,
    value_bounds: str | None,
    size_bounds: str | None,
    tracks: bool,
) -> int:
    """Score the label images of one or more PREDICTIONS folders against those of TRUTH.

    Files of the same name are compared. Scores are F1, AP, panoptic quality, outlines, pixels, named errors, and paired
    differences with Student's intervals over images. Example: hcs evaluate labels ours theirs --out scores

    With --tracks, a folder has label images by track, and man_track.txt or res_track.txt. Scores are DET, LNK, TRA, and
    those of divisions.
    """
    if tracks:
        others = {"--ignore": ignore, "--images": images, "--stratify-by": stratify_by}
        others |= {"--value-bounds": value_bounds, "--size-bounds": size_bounds}
        return _evaluate_tracks(truth, predictions, out, [name for name, value in others.items() if value is not None])
    from hcs.commands.evaluate import Folders, evaluate_folders
    from hcs.evaluate.settings import EvaluateSettings
    from hcs.report.evaluation_text import console_scores

    settings = EvaluateSettings(
        value_bounds=_numbers(value_bounds, "--value-bounds"), size_bounds=_numbers(size_bounds, "--size-bounds")
    )
    folders = Folders(truth, predictions, ignore, images)
    evaluation, notes = evaluate_folders(
        folders, out, settings, stratify_by=stratify_by, say=lambda line: click.echo(line, err=True)
    )
    click.echo(console_scores(evaluation))
    for note in notes:
        click.echo(note)
    click.echo(f"\nPage    {out}/evaluation.html\nTables  {out}/*.parquet, *.csv; columns.csv defines every column")
    return 0


def _evaluate_tracks(truth: Path, predictions: tuple[Path, ...], out: Path, others: list[str]) -> int:
    from hcs.commands.evaluate_tracks import evaluate_tracks
    from hcs.errors import ConfigError

    if others:
        raise ConfigError(f"{', '.join(others)} say nothing of tracks; leave them out, or --tracks")
    for row in evaluate_tracks(truth, predictions, out).to_dict("records"):
        click.echo(str(row.pop("Prediction")))
        for name, value in row.items():
            click.echo(f"  {name:20s} {value:.4f}" if value % 1 else f"  {name:20s} {value:.0f}")
    click.echo(f"\nTables  {out}/scores.parquet, scores.csv; columns.csv defines every column")
    return 0


def _numbers(text: str | None, option: str) -> Any:
    """Numbers parted by commas as a tuple, whose length and order the settings check."""
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a list of numbers such as 250,625,900", param_hint=option) from None


@click.command(short_help="Train the U-Net on labelled images, or from a plate.")
@click.argument("data", type=FOLDER, required=False)
@click.option(
    "--config", "config_path", type=FILE, help="YAML settings of the training, such as configs/train/fast.yaml."
)
@click.option("--out", required=True, type=FOLDER, help="Folder for checkpoint, history.csv and model.")
@click.option("--name", default="model", show_default=True, help="Name of the model in --out.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True, help="Where to train.")
@click.option(
    "--from-plate",
    "plates",
    multiple=True,
    metavar="PLATE",
    help="Learn from a plate, not from DATA. May be repeated.",
)
@click.option("--input", "given", help="Channel in which the model learns to find nuclei.")
@click.option("--truth", help="Channel that shows nuclei, such as DNA.")
@click.option(
    "--truth-labels",
    "--labels",
    "truth_labels",
    help="Labels that are the truth: their name in the plate, or a results folder with nuclei edited by hand.  "
    "[default: nuclei found in --truth]",
)
@click.option("--wells", help="Only these wells: names and wildcards, such as B03,C*.")
@click.option("--val-wells", help="Wells by which the model is chosen.  [default: one in six]")
@click.option("--test-wells", help="Wells by which the model is scored.  [default: one in six]")
@click.option("--diameter-px", type=float, help="Typical diameter of nuclei in --truth.  [default: estimated]")
def train(
    data: Path | None,
    config_path: Path | None,
    out: Path,
    name: str,
    device: str,
    plates: tuple[str, ...],
    given: str | None,
    truth: str | None,
    truth_labels: str | None,
    wells: str | None,
    val_wells: str | None,
    test_wells: str | None,
    diameter_px: float | None,
) -> int:
    """Train the U-Net on DATA (index.csv, train/ and val/ with images/ and labels/), or from a plate.

    With --from-plate, the command finds and checks nuclei in the --truth channel. The model learns to find them in the
    --input channel: a sensor, a cytoplasm, brightfield. Splits are by well. The model's card has the scores of the test
    wells.

    With --labels RESULTS, the model learns from the fields whose nuclei you edited by hand and measured again by `hcs
    remeasure`. The card has the scores before and after.

    You can stop a training; the same command goes on from the last checkpoint and gives the same model.
    """
    corrected = truth_labels is not None and (Path(truth_labels) / "run.json").is_file()
    if plates or corrected:
        from hcs.commands.train_from_plate import FromPlates, from_corrected, train_from_plates

        options: dict[str, Any] = {"given": given, "truth": truth, "wells": wells, "val_wells": val_wells}
        options |= {"test_wells": test_wells, "diameter_px": diameter_px}
        if corrected:
            from hcs.store.results.folder import open_results

            if data is not None or len(plates) > 1:
                raise click.UsageError("--labels RESULTS takes no DATA, and one --from-plate at most")
            wanted = from_corrected(open_results(str(truth_labels), plate=plates[0] if plates else None), **options)
        elif data is not None or given is None or (truth is None and truth_labels is None):
            raise click.UsageError("--from-plate takes no DATA, and needs --input and --truth (or --truth-labels)")
        else:
            options["truth"] = given if truth is None else truth
            wanted = FromPlates(plates=plates, labels=truth_labels, **options)
        path = train_from_plates(wanted, config_path, out, name=name, device=device, say=click.echo)
    else:
        from hcs.commands.train import train_model

        others = (given, truth, truth_labels, wells, val_wells, test_wells, diameter_px)
        if data is None or any(option is not None for option in others):
            raise click.UsageError("give DATA, or --from-plate with --input and --truth")
        path = train_model(data, config_path, out, name=name, device=device, say=click.echo)
    click.echo(f"Model  {path}")
    return 0
