"""`hcs view`: a field of a results folder in napari, its labels with the table of their nuclei, to look at and edit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hcs.errors import ConfigError, HcsError
from hcs.plate.keys import FieldKey
from hcs.run.viewer_fields import description
from hcs.store.plate.edit import shown_as, write_edited
from hcs.store.plate.pictures import Pictures
from hcs.store.results.folder import Results

INSTALL = "pip install 'napari[pyqt6]'"
_MOST_BYTES = 4e9
"""Of a movie, which is in memory as a whole."""
_DEFAULT_COLOURS = ("0000FF", "00FF00", "FF0000", "00FFFF", "FF00FF", "FFFF00")

_FIRST = ("Phase", "Gate", "Nuclei_AreaShape_Area", "Nuclei_DNA_ContentN", "Nuclei_Sensor_Ratio")
"""Columns that come first in the table of the nuclei."""
_PANEL_PX = 170

Layer = tuple[Any, dict[str, Any], str]
"""Data, options and kind of a layer, as napari's readers give it."""


def find_napari() -> Any:
    """The module napari; ConfigError, saying how to install it, where it is not there."""
    try:
        return import_module("napari")
    except ImportError as error:
        raise ConfigError(
            f"napari is not installed ({error}); {INSTALL} installs it, then give the command again"
        ) from None


@dataclass(frozen=True, slots=True)
class Shown:
    """One field of a run in a viewer."""

    results: Results
    key: FieldKey
    """The field; of a plate with time all its frames are shown."""

    @property
    def _units(self) -> list[FieldKey]:
        frames = self.results.record.frames(self.key)
        return [self.key.at(t) for t in range(frames)] if frames else [self.key]

    @property
    def _pictures(self) -> Pictures:
        return Pictures(self.results.folder, self.results.record, self.results.plate_path)

    def layers(self) -> list[Layer]:
        """Every channel, then the labels with what is known of their nuclei; no labels where the run kept none, or the
        field has none."""
        pictures, units = self._pictures, self._units
        first = pictures.images(units[0])
        nbytes = first.pixels.nbytes * len(units)
        if nbytes > _MOST_BYTES:
            raise ConfigError(
                f"field {self.key} has {nbytes / 1e9:.0f} GB of pixels in {len(units)} frames, more "
                "than are shown at once; open the plate itself in napari with napari-ome-zarr"
            )
        stack = [first.pixels, *(pictures.images(unit).pixels for unit in units[1:])]
        pixels = first.pixels if len(units) == 1 else np.stack(stack, axis=1)
        size = first.pixel_size_um or 1.0
        place = {"scale": (1.0,) * (pixels.ndim - 3) + (size, size)}
        about = shown_as(self.results.plate_path, pictures.entry(self.key))
        found: list[Layer] = [
            (plane, {"name": name, **_look(plane, i, about), **place}, "image")
            for i, (name, plane) in enumerate(zip(first.channels, pixels, strict=True))
        ]
        target = pictures.target
        if target is None:
            return found
        try:
            labels = [pictures.as_they_are(unit) for unit in units]
        except HcsError:
            return found
        options = {"name": target.name, "opacity": 0.5, **place}
        if len(units) == 1:
            options |= self._features()
        return [*found, (labels[0] if len(units) == 1 else np.stack(labels), options, "labels")]

    def _features(self) -> dict[str, Any]:
        """The nuclei's rows by number, and their colours."""
        here = [("Metadata_Site", "==", self.key.field)]
        well = [str(self.key.well)]
        nuclei = self.results.nuclei(wells=well, where=here)
        if self.results.phase_columns():
            keys = ["Metadata_Plate", "Metadata_Well", "Metadata_Site", "Metadata_ObjectNumber"]
            nuclei = nuclei.merge(self.results.phases(wells=well, where=here), on=keys, how="left")
        table = nuclei.rename(columns={"Metadata_ObjectNumber": "label"})
        texts = table.select_dtypes("category").columns
        features = table.astype(dict.fromkeys(texts, "object"))
        colours, _ = description(pa.Table.from_pandas(features, preserve_index=False))
        names = list(map(str, features.columns))
        ahead = [name for name in _FIRST if name in names] + [name for name in names if name.endswith("_State")]
        rest = [name for name in names if name not in ahead and not name.startswith("Metadata_")]
        table = features[["label", *ahead, *(name for name in rest if name != "label")]]
        shown: dict[str, Any] = {"features": table.rename(columns={"label": "index"})}
        if colours:
            by_value = {value: [c / 255 for c in rgba] for value, rgba in colours.items()}
            shown["colormap"] = {None: [1.0, 1.0, 1.0, 1.0], 0: [0.0, 0.0, 0.0, 0.0], **by_value}
        return shown

    def save(self, labels: NDArray[np.integer]) -> None:
        """Write labels (Y, X), or (t, Y, X), that were edited in the viewer over those that are there."""
        target, units = self._pictures.target, self._units
        if target is None:
            raise ConfigError(f"{self.results.folder} was made with `labels: none`: there are no labels to write to")
        for unit, plane in zip(units, labels if len(units) > 1 else [labels], strict=True):
            write_edited(target, self._pictures.entry(self.key), unit, np.asarray(plane))


def _look(plane: NDArray[Any], number: int, about: list[dict[str, Any]]) -> dict[str, Any]:
    """Colour and contrast of a channel, by the plate's metadata or, without any, by its pixels."""
    channel = about[number] if number < len(about) else {}
    colour = str(channel.get("color") or _DEFAULT_COLOURS[number % len(_DEFAULT_COLOURS)])
    window = channel.get("window")
    try:
        rgb = [int(colour.lstrip("#")[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        limits = (float(window["start"]), float(window["end"])) if isinstance(window, dict) else (0.0, 0.0)
    except (ValueError, KeyError, TypeError):
        rgb, limits = [1.0, 1.0, 1.0], (0.0, 0.0)
    if not limits[1] > limits[0]:
        low, high = (float(v) for v in np.percentile(plane[..., ::4, ::4], (1, 99.9)))
        limits = low, max(high, low + 1)
    colormap = np.array([[0.0, 0.0, 0.0, 1.0], [*rgb, 1.0]])
    return {"contrast_limits": limits, "colormap": colormap, "blending": "additive"}


class Session:
    """A viewer that shows one field after another, and never drops what was edited in it without a word."""

    def __init__(self, results: Results, viewer: Any, *, layer: Callable[..., Any], say: Callable[[str], None]) -> None:
        """``viewer`` is napari's, ``layer`` makes a layer of data, options and kind (`napari.layers.Layer.create`)."""
        self.results, self.viewer = results, viewer
        self._layer, self._say = layer, say
        self._shown: Shown | None = None
        self._read: NDArray[Any] | None = None

    @property
    def key(self) -> FieldKey | None:
        """The field that is shown."""
        return None if self._shown is None else self._shown.key

    @property
    def _labels(self) -> NDArray[Any] | None:
        """The labels as they are in the viewer; None where the field has none."""
        labels = self.results.record.labels
        name = "" if labels is None else str(labels["name"])
        return np.asarray(self.viewer.layers[name].data) if name in self.viewer.layers else None

    @property
    def unsaved(self) -> str:
        """The field whose edited nuclei are not saved; empty where all are."""
        labels = self._labels
        if self._shown is None or labels is None or self._read is None or np.array_equal(labels, self._read):
            return ""
        return str(self._shown.key)

    def show(self, shown: Shown, layers: list[Layer]) -> None:
        """Show a field in place of the one before."""
        self._shown = shown
        self.viewer.layers.clear()
        for data, options, kind in layers:
            self.viewer.add_layer(self._layer(data, options, kind))
        labels = self._labels
        self._read = None if labels is None else labels.copy()
        self.viewer.title = f"{self.results.record.plate} {shown.key} — hcs"
        self.viewer.reset_view()

    def go(self, well: str, field: int) -> None:
        """Show another field, unless edited nuclei of this one are not saved."""
        if self.unsaved:
            self._tell(f"Nuclei of {self.unsaved} were edited and not saved: save them, or discard the edits")
            return
        try:
            shown = _field(self.results, well, field)
            self.show(shown, shown.layers())
        except HcsError as error:
            self._tell(str(error))

    def save(self) -> None:
        """Write the labels as they are in the viewer over those of the field."""
        labels = self._labels
        if self._shown is None or labels is None:
            return
        self._shown.save(labels)
        self._read = labels.copy()
        self._tell(
            f"Saved the labels of {self._shown.key}; `hcs remeasure {self.results.folder}` measures edited nuclei again"
        )

    def discard(self) -> None:
        """Show the labels as they are on disk."""
        if self._shown is not None:
            self.show(self._shown, self._shown.layers())

    def _tell(self, said: str) -> None:
        self.viewer.status = said
        self._say(said)


def open_viewer(results: Results, well: str | None, field: int, *, say: Callable[[str], None]) -> Session:
    """A napari viewer of a field, by default the first: its layers, the table of the nuclei, and panels to go to
    another field and to save edited nuclei."""
    napari = find_napari()
    start = results.well_names()[0] if well is None else well
    shown = _field(results, start, field)
    layers = shown.layers()  # what is wrong is said before a window opens
    viewer = napari.Viewer()
    session = Session(results, viewer, layer=napari.layers.Layer.create, say=say)
    session.show(shown, layers)
    _add_panels(session, start=str(shown.key.well), field=field)
    return session


def _field(results: Results, well: str, field: int) -> Shown:
    return Shown(results, results.known_field(well, field, 0 if results.record.time is not None else None).of_field)


def _add_panels(session: Session, *, start: str, field: int) -> None:
    """Panels beside the image: where to go, what to save, and the table of the nuclei."""
    widgets = import_module("magicgui.widgets")
    results, window = session.results, session.viewer.window
    most = max(key.field for key in results.record.keys)
    wells = widgets.ComboBox(label="well", choices=results.well_names(), value=start)
    fields = widgets.SpinBox(label="field", min=0, max=most, value=field)

    def go(_: object) -> None:
        session.go(wells.value, fields.value)
        if session.key is not None:  # where it was refused, the field before is shown still
            with wells.changed.blocked(), fields.changed.blocked():
                wells.value, fields.value = str(session.key.well), session.key.field

    for widget in (wells, fields):
        widget.changed.connect(go)
    save, discard = widgets.PushButton(text="Save edited nuclei"), widgets.PushButton(text="Discard edits")
    save.changed.connect(lambda _: session.save())
    discard.changed.connect(lambda _: session.discard())
    panel = widgets.Container(widgets=[wells, fields, save, discard], labels=True)
    panel.max_height = _PANEL_PX  # the rest of the side is the table's
    window.add_dock_widget(panel, name="hcs", area="right")
    try:
        window.add_plugin_dock_widget("napari", "Features table widget")
    except Exception as error:  # napari before 0.6.2 has none, and says so in more than one way
        session.viewer.status = f"no table of nuclei ({error})"


def view(results: Results, well: str | None, field: int, *, say: Callable[[str], None]) -> None:
    """Open a field in napari, and return when its window is closed; edits that were not saved are named then."""
    napari = find_napari()
    session = open_viewer(results, well, field, say=say)
    napari.run()
    if session.unsaved:
        say(f"Edited nuclei of {session.unsaved} were not saved, and are lost")
