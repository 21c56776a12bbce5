"""Plots: losses, errors by condition, cumulative error, calibration, learning curves, coordinates over time."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from kp_tf.evaluate.canvas import BLUE, DPI, GREEN, GREY, ORANGE, PINK, add_legend, new_plot, save_figure, set_title
from kp_tf.evaluate.metrics import ced


def losses(
    path: Path, history: Mapping[str, Sequence[float]], title: str, loss_name: str, kept: int | None = None
) -> None:
    """Plot the training and validation loss by epoch, and mark the best validation loss and the epoch that was kept.

    Args:
        path: the picture.
        history: the values of `loss` and `val_loss`.
        title: of the picture.
        loss_name: the label of the values.
        kept: the epoch, counted from 1, whose weights are the result.
    """
    figure, axes = new_plot(title, "epoch", loss_name)
    for key, colour, label in (("loss", BLUE, "training"), ("val_loss", ORANGE, "validation")):
        values = history[key]
        marker = "o" if len(values) < 30 else None
        axes.plot(range(1, len(values) + 1), values, color=colour, label=label, marker=marker, markersize=3)
    best = None if np.isnan(history["val_loss"]).all() else 1 + int(np.nanargmin(history["val_loss"]))
    if best:
        value = history["val_loss"][best - 1]
        label = f"best validation{' (kept)' if kept == best else ''}: {value:.4g} at epoch {best}"
        axes.plot(best, value, "*", color=ORANGE, markeredgecolor="black", markersize=13, label=label)
    if kept and kept != best:
        axes.axvline(kept, color=GREY, linestyle="--", label=f"kept: epoch {kept}", zorder=1)
    axes.set_xlim(0.5, len(history["loss"]) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    both = np.array([*history["loss"], *history["val_loss"]])
    if both.min() > 0 and both.max() > 10 * both.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    add_legend(figure)
    save_figure(figure, path)


def error_by_condition(
    path: Path,
    errors_by_label: Mapping[str, np.ndarray],
    mean_shape_by_label: Mapping[str, np.ndarray],
    title: str,
    unit: str = "mean error of a face's points (pixels)",
) -> None:
    """Plot the mean errors of the network beside those of the mean shape, and the error of each face as a dot.

    Args:
        path: the picture.
        errors_by_label: for each condition, the errors (n,) of its faces.
        mean_shape_by_label: the same of the mean shape.
        title: of the picture.
        unit: the label of the errors.
    """
    figure, axes = new_plot(title, "", unit, width=9)
    random = np.random.default_rng(0)
    means = []
    for side, colour, name, errors in (
        (-0.2, ORANGE, "network, mean of the faces", errors_by_label),
        (0.2, GREY, "mean shape, mean of the faces", mean_shape_by_label),
    ):
        for condition, label in enumerate(errors_by_label):
            values = np.asarray(errors[label])
            place = condition + side
            means.append((place, f"{values.mean():.1f}"))
            axes.bar(place, values.mean(), 0.36, color=colour, alpha=0.55, label="" if condition else name)
            x = place + random.uniform(-0.12, 0.12, len(values))  # dots of similar errors side by side
            dots = axes.scatter(x, values, s=12, color=colour, edgecolors="black", lw=0.4, zorder=3)
    dots.set_label("dot: one face")
    axes.set_xticks(*zip(*means, strict=True), minor=True, fontweight="bold")
    labels = [textwrap.fill(label, 14) for label in errors_by_label]
    axes.set_xticks(range(len(labels)), labels)
    axes.tick_params(axis="x", which="both", length=0)
    axes.tick_params(axis="x", which="major", pad=20)
    axes.grid(False, axis="x")
    add_legend(figure)
    save_figure(figure, path)


def ced_plot(path: Path, curves: Mapping[str, np.ndarray], title: str) -> None:
    """Plot cumulative error distributions; each curve has errors (n,) as fractions.

    The plot reaches to an NME of 10 % or, if that is more, to the 99th percentile of the curve with the largest errors.
    """
    x_label = "NME: mean error of a face's points / inter-ocular distance (%)"
    figure, axes = new_plot(title, x_label, "faces up to this NME (%)")
    limit = max(0.1, *(np.ceil(100 * np.nanpercentile(errors, 99)) / 100 for errors in curves.values()))
    for (label, errors), colour in zip(curves.items(), cycle((ORANGE, BLUE, GREEN, PINK, GREY))):
        x, y = ced(np.asarray(errors), limit)
        text = f"{label} ({100 * (1 - ced(np.asarray(errors), 0.1)[1][-1]):.1f} % beyond 10 %)"
        axes.step(100 * x, 100 * y, where="post", color=colour, label=text, linewidth=1.8)
    axes.set(xlim=(0, 100 * limit), ylim=(0, 101))
    add_legend(figure)
    save_figure(figure, path)


def calibration(path: Path, confidence: np.ndarray, errors: np.ndarray, near: float, title: str) -> None:
    """Plot the share of points that are near against their confidence, in ten groups of as many points.

    Args:
        path: the picture.
        confidence: (N, K) predicted probability that a point is near.
        errors: (N, K) in units of the crop's side; NaN is left out.
        near: the largest error that counts as near.
        title: of the picture.
    """
    known = ~np.isnan(errors)
    order = np.argsort(confidence[known])
    groups = np.array_split(np.stack([confidence[known], errors[known]])[:, order], 10, axis=1)
    predicted = [100 * group[0].mean() for group in groups]
    observed = [100 * (group[1] <= near).mean() for group in groups]
    error = [100 * group[1].mean() for group in groups]
    figure, axes = new_plot(
        title, "mean confidence of a tenth of the points (%)", f"points within {100 * near:g} % (%)"
    )
    axes.plot((0, 100), (0, 100), color=GREY, linestyle="--", label="perfect calibration")
    label = f"points within {100 * near:g} % of the crop's side (numbers: mean error in % of it)"
    axes.plot(predicted, observed, color=ORANGE, marker="o", label=label)
    clear = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    for number, place in enumerate(zip(predicted, observed, strict=True)):
        # below and above in turn, because the dots lie close to each other
        offset, side = ((5, -11), "left") if number % 2 else ((-5, 5), "right")
        text = f"{error[number]:.1f} %"
        axes.annotate(text, place, offset, textcoords="offset points", ha=side, fontsize=8, bbox=clear)
    low = 10 * math.floor(min(*predicted, *observed) / 10)
    axes.set(xlim=(low, 101), ylim=(low, 101))
    add_legend(figure)
    save_figure(figure, path)


def learning_curve(path: Path, curves: Mapping[str, Sequence[tuple[int, float]]], title: str) -> None:
    """Plot the mean error in pixels by the number of training pictures, both on logarithmic scales."""
    figure, axes = new_plot(title, "training pictures", "mean error of a point (pixels)")
    for (label, rows), colour, marker in zip(curves.items(), cycle((ORANGE, BLUE, GREEN, PINK)), cycle("os^D")):
        if rows:
            axes.plot(*zip(*sorted(rows), strict=True), marker=marker, color=colour, label=label)
    sizes = sorted({size for rows in curves.values() for size, _ in rows})
    axes.set(xscale="log", yscale="log")
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 4, 5, 6, 8)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    add_legend(figure)
    save_figure(figure, path)


def paths(path: Path, seconds: np.ndarray, panels: Mapping[str, Mapping[str, np.ndarray]], title: str) -> None:
    """Plot a coordinate over time, with a panel for each clip.

    Args:
        path: the picture.
        seconds: (T,) times of the frames.
        panels: for each panel's title, its lines (T,) in pixels by name, drawn in this order; NaN is a gap.
        title: of the picture.
    """
    figure = Figure(figsize=(10, 4.2), dpi=DPI, layout="constrained")
    set_title(figure, title)
    for axes, (name, lines) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        for (label, values), colour, width in zip(lines.items(), (GREY, ORANGE, BLUE), (4, 1.2, 1.8), strict=False):
            axes.plot(seconds, values, color=colour, label=label, linewidth=width, marker=".", markersize=3)
        axes.set_title(name, fontsize=10)
        axes.set(xlabel="seconds", ylabel="x of the nose tip (pixels)")
        axes.grid(True, color="0.9")
        axes.spines[["top", "right"]].set_visible(False)
    add_legend(figure)
    save_figure(figure, path)
