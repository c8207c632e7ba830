"""Files of models: what is written is what is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hcs.store.models import find_model, read_model, write_model


def test_weights_that_lie_in_another_order_are_written_as_they_are(tmp_path: Path) -> None:
    """As torch holds those of its channels_last networks."""
    ordered = np.arange(2 * 3 * 3 * 3, dtype=np.float32).reshape(2, 3, 3, 3)
    turned = np.ascontiguousarray(ordered.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    write_model(tmp_path / "m.safetensors", {"name": "m", "network": {"classes": 3}}, {"w": turned})
    assert np.array_equal(read_model(find_model(str(tmp_path / "m.safetensors")))[1]["w"], ordered)
