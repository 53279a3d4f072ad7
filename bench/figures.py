"""Figures from repeated measurements: median, 95th percentile and spread."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """What repeated measurements of one thing say."""

    median: float
    p95: float
    """95th percentile; the largest value if there are fewer than twenty."""
    least: float
    most: float
    count: int
    """Number of measurements."""

    @property
    def spread(self) -> str:
        """Smallest and largest value."""
        return f"{shown(self.least)} to {shown(self.most)}"


def figure(values: Sequence[float]) -> Figure:
    """Sum up measurements.

    Raises:
        ValueError: there are none.
    """
    if not values:
        raise ValueError("there is nothing to sum up")
    return Figure(statistics.median(values), percentile(values, 95), min(values), max(values), len(values))


def percentile(values: Sequence[float], percent: int) -> float:
    """The smallest value that at least ``percent`` percent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def shown(value: float) -> str:
    """A number as it stands in a table: two digits after the point below ten, none from a hundred on."""
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}" if abs(value) < 100 else f"{value:.0f}"
