"""The model of whole cells: found before a run, its scale settled with the size of the nuclei."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from hcs.config import Config
from hcs.errors import ConfigError
from hcs.field.job import Job
from hcs.plate.channels import Channels
from hcs.run.checks import same_arithmetic
from hcs.run.diameter import read_diameter
from hcs.segment.diameter import Diameter
from hcs.segment.recipe import read_recipe
from hcs.segment.scale import scale_for
from hcs.store.location import Location
from hcs.store.models import OBJECTS, ModelFile, find_model, read_card, wanted_diameter
from hcs.store.results.record import RunRecord


@dataclass(frozen=True, slots=True)
class CellsScale:
    """At which scale the network of whole cells sees a plate, and a sentence on it."""

    scale: Fraction
    notes: tuple[str, ...] = ()


def find_cells_model(config: Config, channels: Channels, device: str) -> ModelFile | None:
    """The model of ``cells.model``; None without.

    ConfigError where there is no such model, it does not tell cell, boundary and background, nobody says in which
    channel cells are, or how large they are.
    """
    if config.cells.model is None:
        return None
    what = f"cells.model = {config.cells.model}"
    if channels.cells is None:
        raise ConfigError(f"{what}: no channel is named in which cells are; say --cells CHANNEL")
    model = find_model(config.cells.model, device, arithmetic=config.arithmetic)
    recipe = read_recipe(read_card(model.networks[0]))
    if recipe.kinds or recipe.postprocess != "cores":
        raise ConfigError(
            f"{what}: the model does not tell background, interior and boundary alone; train one on whole cells with "
            "`hcs train`"
        )
    if config.labels_from is not None and config.cells.diameter_px is None and recipe.diameter_px is not None:
        raise ConfigError(
            f"{what}: where labels are given nobody measures how large nuclei are, so the size of cells is unknown; "
            "set cells.diameter_px"
        )
    return model


def check_finds_nuclei(model: ModelFile) -> None:
    """ConfigError where a model of whole cells is to find nuclei."""
    if any(read_card(network).get(OBJECTS) == "cells" for network in model.networks):
        raise ConfigError(
            f"model {model.name} finds whole cells, not nuclei; say --cells CHANNEL --cells-model {model.name}, and "
            "give --model one of nuclei"
        )


def same_cells_model(out: Location, record: RunRecord, model: ModelFile | None, device: str) -> ModelFile | None:
    """The model in the arithmetic of the run in ``out``, as `hcs.run.checks.same_arithmetic` has it."""
    if model is None or record.cells_model is None:
        return model
    return same_arithmetic(out, replace(record, model=record.cells_model), model, device)


def cells_model_lines(job: Job) -> tuple[str, ...]:
    """What a run says first of its model of whole cells."""
    if job.cells_model is None:
        return ()
    model = job.cells_model
    told = (
        "" if read_card(model.networks[0]).get(OBJECTS) == "cells" else "; it was taught on nuclei, not on whole cells"
    )
    return (
        f"  cells model      {model.name}, sha256 {model.sha256[:16]}…, in {model.arithmetic} ({model.path}){told}",
    )


def cells_scale(job: Job, nuclei: Diameter) -> CellsScale:
    """The scale for cells as large as the settings say, or as is usual around ``nuclei`` of this size."""
    if job.cells_model is None:
        return CellsScale(Fraction(1))
    target, typical = wanted_diameter(job.cells_model), job.config.cells.typical_px(nuclei.px)
    if target is None:
        return CellsScale(Fraction(1), ("The model of whole cells takes images as they are.",))
    if math.isnan(typical):
        why = "the size of the nuclei is unknown, and so that of the cells (cells.diameter_px)"
        return CellsScale(Fraction(1), (f"The model of whole cells sees the images at their own scale: {why}.",))
    scale = scale_for(typical, target)
    source = "as given" if job.config.cells.diameter_px is not None else "2.2 times the nuclei"
    return CellsScale(
        scale, (f"Whole cells are taken for {typical:.0f} px across ({source}); their model sees {scale} of that.",)
    )


def recorded_cells_model(record: RunRecord) -> ModelFile | None:
    """The model that a run had for whole cells, for its labels edited by hand; ConfigError where it is gone, or is
    another now."""
    if record.cells_model is None:
        return None
    path = str(record.cells_model["path"])
    if not Path(path).is_file():
        path = str(record.cells_model["name"])
    model = find_model(path)
    if model.sha256 != record.cells_model["sha256"]:
        raise ConfigError(f"model {path} is not the one that the run had for whole cells; put that back")
    return model


def recorded_cells_scale(record: RunRecord, job: Job) -> Fraction:
    """The scale at which the run of this record saw whole cells."""
    if record.nucleus_diameter is None:
        return Fraction(1)
    return cells_scale(job, read_diameter(record.nucleus_diameter)).scale
