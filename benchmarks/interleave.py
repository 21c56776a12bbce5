"""Measurements that take turns, so that a machine that slows down slows all sides, and their statistics."""

import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def interleave(sides: Mapping[str, Callable[[Item], Answer]], items: Iterable[Item]) -> dict[str, list[Answer]]:
    """Call every side with every item, item after item (A B A B); return each side's answers in that order."""
    answers = {label: [] for label in sides}
    for item in items:
        for label, side in sides.items():
            answers[label].append(side(item))
    return answers


def measure_rounds(sides: Mapping[str, Callable[[], float]], rounds: int, warm_up: int = 1) -> dict[str, list[float]]:
    """Measure every side once a round, the sides taking turns, and show each value on stderr.

    Args:
        sides: functions that measure one value, by label.
        rounds: how many values to return for each side.
        warm_up: rounds before these whose values are dropped.
    """

    def measure(label: str, side: Callable[[], float], number: int) -> float:
        value = side()
        print(f"round {number + 1} of {rounds}, {label}: {value:.4g}", file=sys.stderr, flush=True)
        return value

    numbered = {label: partial(measure, label, side) for label, side in sides.items()}
    return {label: values[warm_up:] for label, values in interleave(numbered, range(-warm_up, rounds)).items()}


def quartiles(values: ArrayLike, digits: int) -> list[float]:
    """Return the median, the lower and the upper quartile, rounded."""
    return [round(float(value), digits) for value in np.percentile(np.asarray(values, float), [50, 25, 75])]


def summarize(values: ArrayLike) -> dict[str, Any]:
    """Return the median, the quartiles and all values, as the reports hold them."""
    values = np.asarray(values, float)
    return {
        "median": float(np.median(values)),
        "quartiles": [float(value) for value in np.percentile(values, [25, 75])],
        "values": [round(float(value), 5) for value in values],
    }


def summarize_all(values_by_label: Mapping[str, ArrayLike]) -> dict[str, dict[str, Any]]:
    """Summarize the values of every side."""
    return {label: summarize(values) for label, values in values_by_label.items()}


def ratio(values_by_label: Mapping[str, ArrayLike], one: str, other: str) -> dict[str, Any]:
    """Summarize one side's values divided by the other's, round by round: each ratio is of one moment."""
    return summarize(np.asarray(values_by_label[one]) / np.asarray(values_by_label[other]))


def best(values_by_label: Mapping[str, ArrayLike], prefix: str, largest: bool = True) -> str:
    """Return the label with the best median among those that begin with the prefix."""
    labels = [label for label in values_by_label if label.startswith(prefix)]
    return (max if largest else min)(labels, key=lambda label: np.median(np.asarray(values_by_label[label], float)))
