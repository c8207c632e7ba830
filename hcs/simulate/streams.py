"""Random streams that depend on what they are for and on nothing drawn before."""

from __future__ import annotations

import numpy as np

from hcs.plate.keys import FieldKey, WellId


def plate_rng(seed: int) -> np.random.Generator:
    """Stream of what the whole plate shares: layout and illumination."""
    return _rng(1, seed)


def well_rng(seed: int, well: WellId) -> np.random.Generator:
    """Stream of what the fields of one well share."""
    return _rng(2, seed, well.row, well.column)


def field_rng(seed: int, key: FieldKey) -> np.random.Generator:
    """Stream of one field."""
    return _rng(3, seed, key.well.row, key.well.column, key.field)


def death_rng(seed: int, key: FieldKey) -> np.random.Generator:
    """Stream of what bright dead cells add to one field, so that nothing else changes with them."""
    return _rng(4, seed, key.well.row, key.well.column, key.field)


def movie_rng(seed: int, key: FieldKey) -> np.random.Generator:
    """Stream of the lives of one field's cells."""
    return _rng(5, seed, key.well.row, key.well.column, key.field)


def frame_rng(seed: int, key: FieldKey, frame: int) -> np.random.Generator:
    """Stream of the picture of one frame."""
    return _rng(6, seed, key.well.row, key.well.column, key.field, frame)


def cytoplasm_rng(seed: int, key: FieldKey) -> np.random.Generator:
    """Stream of one field's uneven cells, so that its nuclei are those of even ones."""
    return _rng(7, seed, key.well.row, key.well.column, key.field)


def _rng(purpose: int, *numbers: int) -> np.random.Generator:
    # SeedSequence pads short entropy with zeros, so the purpose leads to keep (plate) and (well A01) apart.
    return np.random.default_rng(np.random.SeedSequence((purpose, *numbers)))
