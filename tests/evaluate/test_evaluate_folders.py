"""`hcs evaluate`: folders in, tables and a page out; bad input is one sentence and exit code 2."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import tifffile
from numpy.typing import NDArray

from hcs.cli import main
from hcs.commands.evaluate import Folders, evaluate_folders
from hcs.evaluate.evaluation import Evaluation
from hcs.evaluate.settings import EvaluateSettings
from hcs.store.ownfiles import MANIFEST

Labels = NDArray[np.integer]
Files = dict[str, NDArray[np.generic]]
Show = Callable[..., tuple[int, str, str]]


def boxes(*places: tuple[int, int, int, int]) -> NDArray[np.uint16]:
    """Labels 1..n of boxes (y0, y1, x0, x1)."""
    labels = np.zeros((40, 40), np.uint16)
    for i, (y0, y1, x0, x1) in enumerate(places, start=1):
        labels[y0:y1, x0:x1] = i
    return labels


TWO = boxes((5, 15, 5, 15), (20, 30, 20, 30))
TRUTH: Files = {"a.png": TWO, "b.png": TWO, "empty.png": boxes()}
WORSE: Files = {"a.png": TWO, "b.png": boxes((5, 15, 5, 15), (2, 4, 30, 35)), "empty.png": boxes((0, 5, 0, 5))}


def folder(path: Path, files: Files) -> Path:
    """Write the images to ``path``."""
    path.mkdir(parents=True)
    for name, image in files.items():
        if name.endswith(".png"):
            cv2.imwrite(str(path / name), image)
        else:
            tifffile.imwrite(path / name, image)
    return path


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Show:
    """Run the command line in this process: exit code, output, errors."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["hcs", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        shown = capsys.readouterr()
        return int(stopped.value.code or 0), shown.out, shown.err

    return call


def quietly(folders: Folders, out: Path, stratify_by: str | None = None) -> tuple[Evaluation, tuple[str, ...]]:
    return evaluate_folders(folders, out, EvaluateSettings(), stratify_by=stratify_by, say=lambda line: None)


class Page(HTMLParser):
    """Headings, and everything the page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.heads: list[str] = []
        self.links: list[str] = []
        self._in_head = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_head = tag == "h2"
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        if self._in_head:
            self.heads.append(data)
        self._in_head = False


def test_two_predictions_with_images_end_in_tables_figures_and_a_page(tmp_path: Path, show: Show) -> None:
    truth = folder(tmp_path / "truth", TRUTH)
    one, two = folder(tmp_path / "one" / "labels", TRUTH), folder(tmp_path / "two" / "labels", WORSE)
    images = folder(tmp_path / "images", {name: 100 + 400 * (labels > 0) for name, labels in TRUTH.items()})
    out = tmp_path / "out"
    code, text, _ = show("evaluate", truth, one, two, "--out", out, "--images", images, "--size-bounds", "20,50,200")
    assert code == 0
    assert "one/labels" in text
    assert re.search(r"Mean F1, IoU 0.50–0.90, per image +1\.000 .* 0\.500 ", text)
    tables = {path.stem: pd.read_parquet(path) for path in out.glob("*.parquet")}
    assert set(tables) == {"scores", "differences", "images", "errors", "strata", "distributions", "nuclei"}
    for name, frame in tables.items():
        assert list(pd.read_csv(out / f"{name}.csv").columns) == list(frame.columns)
    assert {path.name for path in out.glob("*.svg")} == {"f1.svg", "errors.svg", "strata.svg", "distributions.svg"}
    assert len(list(out.glob("worst-*.png"))) == 2
    assert [path.name for path in out.glob(".*")] == [MANIFEST]
    page = Page()
    page.feed((out / "evaluation.html").read_text())
    assert page.heads[:3] == ["Summary", "Scores", "Paired differences"]
    assert page.links
    assert all(link.startswith("data:image/png;base64,") for link in page.links)


def test_the_same_input_gives_the_same_files(tmp_path: Path) -> None:
    folders = Folders(folder(tmp_path / "truth", TRUTH), (folder(tmp_path / "found", WORSE),))
    quietly(folders, tmp_path / "first")
    quietly(folders, tmp_path / "again")
    for path in sorted((tmp_path / "first").iterdir()):
        if path.suffix in (".csv", ".parquet", ".png", ".svg"):
            assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name


def test_ignored_pixels_are_those_of_the_files_there_are(tmp_path: Path) -> None:
    ignore = (boxes((2, 4, 30, 35)) > 0).astype(np.uint8) * 255
    folders = Folders(
        folder(tmp_path / "truth", TRUTH),
        (folder(tmp_path / "found", WORSE),),
        ignore=folder(tmp_path / "ignore", {"b.png": ignore}),
    )
    evaluation, notes = quietly(folders, tmp_path / "out")
    own = evaluation.per_image.set_index("Image")
    assert list(own.loc[["a", "b", "empty"], "Predicted"]) == [2, 1, 1]
    assert notes == ()


def test_names_match_without_their_endings_and_what_is_left_out_is_noted(tmp_path: Path) -> None:
    found: Files = {"a.tif": TWO, "b.png": TWO, "empty.tiff": boxes(), "other.png": TWO}
    folders = Folders(folder(tmp_path / "truth", TRUTH), (folder(tmp_path / "found", found),))
    evaluation, notes = quietly(folders, tmp_path / "out")
    assert evaluation.images == ("a", "b", "empty")
    assert len(notes) == 1
    assert "other" in notes[0]


def test_a_mask_in_place_of_labels_is_noted(tmp_path: Path) -> None:
    found = {name: (labels > 0).astype(np.uint8) * 255 for name, labels in TRUTH.items()}
    folders = Folders(folder(tmp_path / "truth", TRUTH), (folder(tmp_path / "found", found),))
    _, notes = quietly(folders, tmp_path / "out")
    assert len(notes) == 1
    assert notes[0].startswith("2 image(s) have one label in several pieces")


def test_stratification_needs_no_images_for_a_shape(tmp_path: Path) -> None:
    folders = Folders(folder(tmp_path / "truth", TRUTH), (folder(tmp_path / "found", WORSE),))
    evaluation, _ = quietly(folders, tmp_path / "out", stratify_by="Nuclei_AreaShape_Eccentricity")
    assert evaluation.value == "Nuclei_AreaShape_Eccentricity"
    assert evaluation.strata.query("Threshold == 0.5")["True"].sum() == 4
    assert (tmp_path / "out" / "strata.svg").exists()
    quietly(folders, tmp_path / "out")
    assert not list((tmp_path / "out").glob("strata.*"))


def test_text_of_users_is_escaped(tmp_path: Path) -> None:
    folders = Folders(folder(tmp_path / "truth", TRUTH), (folder(tmp_path / "<b>$x^$", WORSE),))
    quietly(folders, tmp_path / "out")
    text = (tmp_path / "out" / "evaluation.html").read_text()
    assert "<b>" not in text
    assert "&lt;b&gt;$x^$" in text


def damaged(path: Path) -> None:
    (path / "b.png").write_bytes(b"no image")


def missing(path: Path) -> None:
    (path / "b.png").unlink()


def smaller(path: Path) -> None:
    cv2.imwrite(str(path / "b.png"), TWO[:30])


def coloured(path: Path) -> None:
    cv2.imwrite(str(path / "b.png"), np.dstack((TWO, 2 * TWO, TWO)))


def renamed(path: Path) -> None:
    for file in list(path.iterdir()):
        file.rename(path / f"{file.stem}_labels.png")


def doubled(path: Path) -> None:
    tifffile.imwrite(path / "b.tif", TWO)


def emptied(path: Path) -> None:
    for file in list(path.iterdir()):
        file.unlink()


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (missing, "has no prediction for truth b.png"),
        (damaged, "b.png is neither TIFF nor PNG"),
        (smaller, r"b.png is \(30, 40\) px but truth .*b.png is \(40, 40\) px"),
        (coloured, "a grey 2-D image is needed"),
        (renamed, "give each prediction the name of its truth"),
        (doubled, "have the same name but for the ending"),
        (emptied, "holds no .png, .tif, .tiff image"),
    ],
)
def test_bad_predictions_get_one_sentence(
    tmp_path: Path, show: Show, spoil: Callable[[Path], None], sentence: str
) -> None:
    truth, found = folder(tmp_path / "truth", TRUTH), folder(tmp_path / "found", TRUTH)
    spoil(found)
    code, _, errors = show("evaluate", truth, found, "--out", tmp_path / "out")
    assert code == 2
    assert re.search(sentence, errors)
    assert "Traceback" not in errors
    assert len(errors.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--out", "found"), "is one of the folders that are read"),
        (("--out", "out", "--stratify-by", "mean"), "--images"),
        (("--out", "out", "--stratify-by", "colour"), "is no value of a nucleus"),
        (("--out", "out", "--size-bounds", "1,2"), "evaluate.size_bounds"),
        (("--out", "out", "--size-bounds", "small"), "not a list of numbers"),
        (("--out", "out", "--ignore", "other"), "no file of --ignore"),
        (("--out", "out", "--images", "other"), "has the name of a truth image"),
        (("--out", "out", "--images", "nowhere"), "nowhere is not a folder"),
    ],
)
def test_bad_options_get_one_sentence(
    tmp_path: Path, show: Show, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    folder(tmp_path / "truth", TRUTH)
    folder(tmp_path / "found", WORSE)
    folder(tmp_path / "other", {"x.png": TWO})
    code, _, errors = show("evaluate", "truth", "found", *options)
    assert code == 2
    assert sentence in errors
    assert not (tmp_path / "out").exists()


def test_the_same_prediction_twice_is_refused(tmp_path: Path, show: Show) -> None:
    truth, found = folder(tmp_path / "truth", TRUTH), folder(tmp_path / "found", TRUTH)
    code, _, errors = show("evaluate", truth, found, found, "--out", tmp_path / "out")
    assert code == 2
    assert "given twice" in errors
