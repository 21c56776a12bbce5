"""Points and numbers to pictures, one PNG each; knows no network and leaves pyplot's global state alone.

Truth is blue and a ring wider, prediction is orange and on top: two colours that stay apart for colour-blind
readers, both with an outline so that they show on any skin and in grey.
"""

import math
import textwrap
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from kp_tf.core.files import replacing
from kp_tf.evaluate.metrics import ced

BLUE, ORANGE, GREEN, PINK, GREY = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#7F7F7F"  # Okabe and Ito
TRUTH = {"color": BLUE, "edgecolors": "white"}
PREDICTION = {"color": ORANGE, "edgecolors": "black"}
PANEL = 2.6  # inches
DPI = 120


def training_samples(path: Path, images: np.ndarray, points: np.ndarray, title: str) -> None:
    """Up to 12 inputs of a network, each in its frame, with a margin that shows the points outside it.

    Args:
        images: (N, H, W, 1) uint8, as cut and augmented.
        points: (N, K, 2) in the unit square of each image.
    """
    images, points = images[:12], points[:12]
    size = np.array(images.shape[2:0:-1])  # width, height
    low = np.minimum(np.nanmin(points, axis=(0, 1), initial=0), 0) - 0.04
    high = np.maximum(np.nanmax(points, axis=(0, 1), initial=1), 1) + 0.04
    limits = np.stack([low, high]) * size - 0.5
    width, height = limits[1] - limits[0]
    figure, panels = _panels(len(images), 4, title, height / width)
    for axes, image, place in zip(panels, images, points, strict=True):
        _show(axes, image, limits)
        axes.add_patch(Rectangle((-0.5, -0.5), *size, fill=False, edgecolor="black", linewidth=0.8))
        _draw(axes, place * size - 0.5, TRUTH)
    _legend(figure, truth="point", edge="edge of the network's input: points may lie outside it")
    _save(figure, path)


def losses(path: Path, history: Mapping[str, Sequence[float]], title: str, loss_name: str) -> None:
    """Training and validation loss against the epoch, from 1, with the epoch of the best validation loss."""
    figure, axes = _plot(title, "epoch", loss_name)
    for key, colour, label in (("loss", BLUE, "training"), ("val_loss", ORANGE, "validation")):
        values = history[key]
        marker = "o" if len(values) < 30 else None
        axes.plot(range(1, len(values) + 1), values, color=colour, label=label, marker=marker, markersize=3)
    if not np.isnan(history["val_loss"]).all():
        best = int(np.nanargmin(history["val_loss"]))
        value = history["val_loss"][best]
        label = f"best validation: {value:.4g} at epoch {best + 1}"
        axes.plot(best + 1, value, "*", color=ORANGE, markeredgecolor="black", markersize=13, label=label)
    axes.set_xlim(0.5, len(history["loss"]) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    both = np.array([*history["loss"], *history["val_loss"]])
    if both.min() > 0 and both.max() > 10 * both.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    _legend(figure)
    _save(figure, path)


def faces(
    path: Path,
    photographs: Sequence[np.ndarray],
    truth: Sequence[np.ndarray],
    prediction: Sequence[np.ndarray],
    errors: Sequence[str],
    best: int | None,
    title: str,
) -> None:
    """Faces with truth and prediction, the best above and the worst below.

    Args:
        photographs: N uint8 arrays (H, W) or (H, W, 3) of any size, cut around the face (`cut_out`): first the
            best, then the worst.
        truth, prediction: N arrays (K, 2) in the pixels of those.
        errors: N texts, such as "NME 3.1 %".
        best: how many of the N are the best ones; 0 shows the worst alone, None calls none best or worst.
    """
    row = best or len(photographs)
    columns = math.ceil(row / math.ceil(row / 4))
    named, best = best is not None, best or 0
    gap = -best % columns  # so that the worst begin a row
    aspect = max(photograph.shape[0] / photograph.shape[1] for photograph in photographs)
    figure, panels = _panels(len(photographs) + gap, columns, title, aspect + 0.09)  # their titles
    for axes in panels[best : best + gap]:
        axes.remove()
    panels = [*panels[:best], *panels[best + gap :]]
    for i, axes in enumerate(panels):
        _show(axes, photographs[i], truth[i], prediction[i])
        axes.add_collection(LineCollection(np.stack([truth[i], prediction[i]], axis=1), colors="white", lw=0.8))
        _draw(axes, truth[i], TRUTH, 1.5)
        _draw(axes, prediction[i], PREDICTION)
        axes.set_title(errors[i], fontsize=10)
        first, name = (0, "best") if i < best else (best, "worst")
        if named and (i - first) % columns == 0:
            axes.set_ylabel(name, fontsize=13, fontweight="bold")
    _legend(figure, truth="truth", prediction="prediction")
    _save(figure, path)


def filters(path: Path, kernels: np.ndarray, title: str) -> None:
    """The filters (h, w, 1, n) of a first layer, on one scale about 0."""
    limit = float(np.abs(kernels).max())
    h, w, _, count = kernels.shape
    columns = min(math.ceil(math.sqrt(count)), 8)
    rows = math.ceil(count / columns)
    # one image with gaps: as many panels as filters take seconds
    sheet = np.full((rows, h + 1, columns, w + 1), np.nan)
    for k in range(count):
        sheet[k // columns, :h, k % columns, :w] = kernels[:, :, 0, k]
    figure = Figure(figsize=(max(0.9 * columns + 1, 4.5), 0.9 * rows + 0.9), dpi=DPI, layout="compressed")
    _title(figure, title)
    axes = figure.subplots()
    pixels = sheet.reshape(rows * (h + 1), -1)[:-1, :-1]
    drawn = axes.imshow(pixels, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
    axes.set_axis_off()
    figure.colorbar(drawn, ax=axes, label="weight", shrink=0.8)
    _save(figure, path)


def test_photographs(
    path: Path, photographs: Sequence[np.ndarray], boxes: np.ndarray, prediction: np.ndarray, title: str
) -> None:
    """Up to 8 whole photographs with the given box and the predicted points.

    Args:
        photographs: N uint8 arrays (H, W) or (H, W, 3) of any size.
        boxes: (N, 4) left, top, width, height in pixels.
        prediction: (N, K, 2) in pixels.
    """
    photographs = photographs[:8]
    figure, panels = _panels(len(photographs), 4, title)
    for axes, photograph, box, points in zip(panels, photographs, boxes, prediction, strict=False):
        corner, size = np.array(box[:2]) - 0.5, np.array(box[2:])
        _show(axes, photograph, points, [corner, corner + size])
        for colour, line in (("white", 3.5), (GREEN, 2)):
            axes.add_patch(Rectangle(corner, *size, fill=False, edgecolor=colour, linewidth=line))
        _draw(axes, points, PREDICTION)
    _legend(figure, prediction="predicted point", box="box that was given")
    _save(figure, path)


def error_by_condition(
    path: Path,
    errors_by_label: Mapping[str, np.ndarray],
    mean_shape_by_label: Mapping[str, np.ndarray],
    title: str,
    unit: str = "mean error of a face's points (pixels)",
) -> None:
    """Mean errors of the network beside those of the mean shape, with each face's error as a dot.

    Args:
        errors_by_label, mean_shape_by_label: for each condition the errors (n,) of its faces.
    """
    figure, axes = _plot(title, "", unit, width=9)
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
            spread = place + random.uniform(-0.12, 0.12, len(values))
            dots = axes.scatter(spread, values, s=12, color=colour, edgecolors="black", lw=0.4, zorder=3)
    dots.set_label("dot: one face")
    axes.set_xticks(*zip(*means, strict=True), minor=True, fontweight="bold")
    labels = [textwrap.fill(label, 14) for label in errors_by_label]
    axes.set_xticks(range(len(labels)), labels)
    axes.tick_params(axis="x", which="both", length=0)
    axes.tick_params(axis="x", which="major", pad=20)
    axes.grid(False, axis="x")
    _legend(figure)
    _save(figure, path)


def ced_plot(path: Path, curves: Mapping[str, np.ndarray], title: str) -> None:
    """Share of the faces whose NME is at most x, for x up to 10 %; each curve from errors (n,) as fractions."""
    figure, axes = _plot(title, "NME: mean error of a face's points / eye distance (%)", "faces up to this NME (%)")
    for (label, errors), colour in zip(curves.items(), cycle((ORANGE, BLUE, GREEN, PINK, GREY))):
        x, y = ced(np.asarray(errors), 0.1)
        text = f"{label} ({100 * (1 - y[-1]):.1f} % beyond 10 %)"
        axes.step(100 * x, 100 * y, where="post", color=colour, label=text, linewidth=1.8)
    axes.set(xlim=(0, 10), ylim=(0, 101))
    _legend(figure)
    _save(figure, path)


def calibration(path: Path, confidence: np.ndarray, apart: np.ndarray, near: float, title: str) -> None:
    """Whether confidence (N, K) keeps its word, in ten groups of as many points, and how it goes with the error.

    Args:
        path: the picture.
        confidence: the probability that a point is near.
        apart: (N, K) errors in parts of the crop's side; NaN is left out.
        near: what counts as near.
        title: of the picture.
    """
    known = ~np.isnan(apart)
    order = np.argsort(confidence[known])
    groups = np.array_split(np.stack([confidence[known], apart[known]])[:, order], 10, axis=1)
    said = [100 * group[0].mean() for group in groups]
    held = [100 * (group[1] <= near).mean() for group in groups]
    error = [100 * group[1].mean() for group in groups]
    figure, axes = _plot(
        title, "confidence of a tenth of the points, mean (%)", f"points within {100 * near:g} % (%)"
    )
    axes.plot((0, 100), (0, 100), color=GREY, linestyle="--", label="as confidence says")
    label = f"within {100 * near:g} % of the crop's side; beside it the mean error in the same measure"
    axes.plot(said, held, color=ORANGE, marker="o", label=label)
    clear = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    for number, place in enumerate(zip(said, held, strict=True)):
        # above and below in turns: the points lie close
        side = {"xytext": (5, -11)} if number % 2 else {"xytext": (-5, 5), "ha": "right"}
        axes.annotate(f"{error[number]:.1f} %", place, textcoords="offset points", fontsize=8, bbox=clear, **side)
    low = 10 * math.floor(min(*said, *held) / 10)
    axes.set(xlim=(low, 101), ylim=(low, 101))
    _legend(figure)
    _save(figure, path)


def learning_curve(path: Path, curves: Mapping[str, Sequence[tuple[int, float]]], title: str) -> None:
    """Mean error in pixels against the number of training pictures, both on logarithmic scales."""
    figure, axes = _plot(title, "pictures for training", "mean error of a point (pixels)")
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
    _legend(figure)
    _save(figure, path)


def paths(path: Path, seconds: np.ndarray, panels: Mapping[str, Mapping[str, np.ndarray]], title: str) -> None:
    """One coordinate over time, a panel for each clip.

    Args:
        path: the picture.
        seconds: (T,), NaN-free.
        panels: by their titles the lines (T,) in pixels by name, drawn in this order; NaN is a gap.
    """
    figure = Figure(figsize=(10, 4.2), dpi=DPI, layout="constrained")
    _title(figure, title)
    for axes, (name, lines) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        for (label, values), colour, width in zip(lines.items(), (GREY, ORANGE, BLUE), (4, 1.2, 1.8), strict=False):
            axes.plot(seconds, values, color=colour, label=label, linewidth=width, marker=".", markersize=3)
        axes.set_title(name, fontsize=10)
        axes.set(xlabel="seconds", ylabel="x of the nose's tip (pixels)")
        axes.grid(True, color="0.9")
        axes.spines[["top", "right"]].set_visible(False)
    _legend(figure)
    _save(figure, path)


def cut_out(
    photograph: np.ndarray, points: Sequence[np.ndarray], margin: float = 0.15
) -> tuple[np.ndarray, np.ndarray]:
    """Cut a square around all points; what it covers outside the photograph is white.

    Args:
        photograph: (H, W) or (H, W, 3) uint8.
        points: arrays (…, 2) in its pixels; NaN is left out. For one point add the corners of the face's box.
        margin: on each side, as a share of the points' larger extent.

    Returns:
        The square, and (2,) what to subtract from points to place them in it.
    """
    every = np.concatenate([np.reshape(each, (-1, 2)) for each in points])
    every = every[~np.isnan(every).any(axis=1)]
    low, high = every.min(axis=0), every.max(axis=0)
    side = max(int(np.ceil((high - low).max() * (1 + 2 * margin))), 1)
    offset = np.rint((low + high - side) / 2).astype(int)
    result = np.full((side, side, *photograph.shape[2:]), 255, np.uint8)
    left, top = np.maximum(offset, 0)
    part = photograph[top : max(offset[1] + side, 0), left : max(offset[0] + side, 0)]
    y, x = top - offset[1], left - offset[0]
    result[y : y + part.shape[0], x : x + part.shape[1]] = part
    return result, offset


def _plot(title: str, x: str, y: str, width: float = 7) -> tuple[Figure, Axes]:
    """One plot with a light grid."""
    figure = Figure(figsize=(width, 4.6), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    _title(figure, title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(True, color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _panels(count: int, columns: int, title: str, aspect: float = 1.0) -> tuple[Figure, list[Axes]]:
    """A figure of `count` panels without ticks, `PANEL` inches wide each."""
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    size = (max(columns * PANEL, 4.5), rows * PANEL * aspect + 0.9)
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).ravel())
    _title(figure, title)
    for axes in panels:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    for axes in panels[count:]:
        axes.remove()
    return figure, panels[:count]


def _title(figure: Figure, title: str) -> None:
    figure.suptitle(textwrap.fill(title, int(figure.get_figwidth() * 9)), fontsize=13)


def _show(axes: Axes, pixels: np.ndarray, *inside: np.ndarray) -> None:
    """Pixels (H, W), (H, W, 1) or (H, W, 3) of 0 to 255, within limits that hold the points `inside` as well."""
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=255)
    height, width = pixels.shape[:2]
    every = np.concatenate([[(-0.5, -0.5), (width - 0.5, height - 0.5)], *inside])
    (left, top), (right, bottom) = np.nanmin(every, axis=0), np.nanmax(every, axis=0)
    axes.set(xlim=(left, right), ylim=(bottom, top))


def _draw(axes: Axes, points: np.ndarray, style: dict, scale: float = 1.0) -> None:
    """Points (K, 2), with a diameter in typographic points that leaves room between them."""
    points = points[~np.isnan(points).any(axis=-1)]
    panel = max(np.ptp(axes.get_xlim()), np.ptp(axes.get_ylim()))
    extent = np.ptp(points, axis=0).max() if len(points) > 1 else panel
    shown = 72 * PANEL * extent / panel
    diameter = np.clip(shown / (4.5 * math.sqrt(max(len(points), 1))), 2.5, 7)
    area, edge = (scale * diameter) ** 2, 0.15 * (diameter - 1)
    axes.scatter(*points.T, s=area, linewidths=edge, zorder=3, snap=False, clip_on=False, **style)


def _legend(figure: Figure, **labels: str) -> None:
    """What the lines of a plot, or the named marks on its panels, mean; below them, where nothing is hidden."""
    marks = {
        "truth": {"marker": "o", "color": BLUE, "markeredgecolor": "white", "markersize": 9},
        "prediction": {"marker": "o", "color": ORANGE, "markeredgecolor": "black", "markersize": 7},
        "box": {"marker": "s", "color": "none", "markeredgecolor": GREEN, "markersize": 10, "markeredgewidth": 2},
        "edge": {"marker": "s", "color": "none", "markeredgecolor": "black", "markersize": 10},
    }
    handles = [Line2D([], [], linestyle="", label=text, **marks[name]) for name, text in labels.items()]
    handles = handles or figure.axes[0].get_legend_handles_labels()[0]
    row = sum(len(handle.get_label()) + 6 for handle in handles) < 13 * figure.get_figwidth()
    columns = len(handles) if row else 1
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False)


def _save(figure: Figure, path: Path) -> None:
    with replacing(path) as temporary:
        figure.savefig(temporary, bbox_inches="tight", pad_inches=0.1)
