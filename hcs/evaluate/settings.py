"""What a user may change about an evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from hcs.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateSettings:
    """Thresholds of the named errors, classes of size and value, intervals; impossible values raise ConfigError."""

    error_iou: float = 0.7
    """A nucleus without a partner above this IoU is an error (Caicedo et al. 2019 count missed nuclei at 0.7)."""
    touch_iou: float = 0.1
    """IoU above which two objects count as overlapping, for merges and splits (Caicedo et al. 2019)."""
    size_bounds: tuple[float, float, float] | None = None
    """Areas, px, that part tiny | small | normal | large nuclei (Caicedo et al. 2019: 250, 625, 900 at 20×).
    Default: ``size_quantiles`` of the true nuclei's areas."""
    size_quantiles: tuple[float, float, float] = (0.05, 0.25, 0.90)
    """Quantiles of the true areas that part the size classes where no bounds are given."""
    value_bounds: tuple[float, float] | None = None
    """Values that part low | medium | high nuclei. Default: terciles of the true nuclei's values."""
    confidence: float = 0.95
    """Coverage aimed at by the intervals, between 0 and 1."""

    def __post_init__(self) -> None:
        for name, good, rule in self._rules():
            if not good:
                raise ConfigError(f"evaluate.{name} is {getattr(self, name)!r}; it must {rule}")

    def _rules(self) -> tuple[tuple[str, bool, str], ...]:
        return (
            ("error_iou", 0.5 <= self.error_iou < 1, "be at least 0.5 and below 1, so that a nucleus has one partner"),
            ("touch_iou", 0 <= self.touch_iou < 0.5, "be at least 0 and below 0.5"),
            ("size_bounds", _ascending(self.size_bounds, 3), "be three areas in ascending order"),
            ("size_quantiles", _ascending((0.0, *self.size_quantiles, 1.0), 5), "be three that ascend between 0 and 1"),
            ("value_bounds", _ascending(self.value_bounds, 2), "be two values in ascending order"),
            ("confidence", 0 < self.confidence < 1, "lie between 0 and 1"),
        )


def _ascending(values: tuple[float, ...] | None, length: int) -> bool:
    return values is None or (len(values) == length and all(a < b for a, b in pairwise(values)))
