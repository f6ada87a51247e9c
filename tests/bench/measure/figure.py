# SPDX-License-Identifier: GPL-3.0-or-later
"""One measured figure and what it must reach."""

import math
import statistics
from dataclasses import dataclass


@dataclass
class Figure:
    row: str          # of the promise
    case: str
    value: float
    unit: str = ""
    at_least: float = None
    at_most: float = None
    note: str = ""    # what it was measured beside, the spread

    @property
    def ok(self):
        """None: there is no target."""
        if self.at_least is not None:
            return self.value >= self.at_least
        return None if self.at_most is None else self.value <= self.at_most

    @property
    def target(self):
        if self.at_least is not None:
            return f">= {self.at_least:g}"
        return "" if self.at_most is None else f"<= {self.at_most:g}"

    def as_dict(self):
        return {**self.__dict__, "ok": self.ok}


def median(rounds, key):
    return statistics.median(r[key] for r in rounds)


def spread(rounds, key):
    """The distance from least to most, relative to the median."""
    values = [r[key] for r in rounds]
    middle = statistics.median(values)
    return (max(values) - min(values)) / middle if middle else 0.0


def ratio(a, b):
    return a / b if b else math.nan


def exponent(sizes, costs):
    """Of the growth of the cost with the size, by least squares: 1 is linear."""
    xs, ys = [math.log(s) for s in sizes], [math.log(max(c, 1e-12)) for c in costs]
    x, y = statistics.fmean(xs), statistics.fmean(ys)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys)) / sum((a - x) ** 2 for a in xs)
