"""What the figures share: colours, panels, points, legends.

The ground truth is blue and larger, the prediction is orange and on top of it. Colour-blind readers can tell the two
colours from each other, and the outlines of the points show on any skin and in grey. Nothing here uses pyplot, whose
state is global.
"""

import io
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image, ImageChops

from kp_tf.core.files import replacing

BLUE, ORANGE, GREEN, PINK, GREY = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#7F7F7F"  # Okabe and Ito
TRUTH = {"color": BLUE, "edgecolors": "white"}
PREDICTION = {"color": ORANGE, "edgecolors": "black"}
PANEL = 2.6  # inches
DPI = 120
MAX_SIDE = int(2 * PANEL * DPI)  # of a photograph in a panel, in pixels
PAD = 12  # pixels around a figure


def new_plot(title: str, x: str, y: str, width: float = 7) -> tuple[Figure, Axes]:
    """One plot with a light grid."""
    figure = Figure(figsize=(width, 4.6), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    set_title(figure, title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(True, color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def new_panels(count: int, columns: int, title: str, aspect: float = 1.0) -> tuple[Figure, list[Axes]]:
    """A figure of `count` panels without ticks, each `PANEL` inches wide and `aspect` times as high."""
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    size = (max(columns * PANEL, 4.5), rows * PANEL * aspect + 0.9)
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).ravel())
    set_title(figure, title)
    for axes in panels:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    for axes in panels[count:]:
        axes.remove()
    return figure, panels[:count]


def set_title(figure: Figure, title: str) -> None:
    """Set the title of a figure, in as many lines as its width needs, all about as long."""
    widest = int(figure.get_figwidth() * 9)
    lines = len(textwrap.wrap(title, widest))
    widths = range(max(1, -(-len(title) // max(lines, 1))), widest + 1)
    width = next((width for width in widths if len(textwrap.wrap(title, width)) <= lines), widest)
    figure.suptitle(textwrap.fill(title, width), fontsize=13)


def show_pixels(axes: Axes, pixels: np.ndarray, *inside: np.ndarray) -> None:
    """Show pixels (H, W), (H, W, 1) or (H, W, 3) of 0 to 255; the limits include the points `inside` as well."""
    height, width = pixels.shape[:2]
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2:] == (1,) else pixels)
    factor = max(1, min(width, height) // MAX_SIDE)  # matplotlib takes long to resize
    image = image.reduce(factor)
    extent = (-0.5, factor * image.width - 0.5, factor * image.height - 0.5, -0.5)
    axes.imshow(np.asarray(image), cmap="gray", vmin=0, vmax=255, extent=extent)
    every = np.concatenate([[(-0.5, -0.5), (width - 0.5, height - 0.5)], *inside])
    (left, top), (right, bottom) = np.nanmin(every, axis=0), np.nanmax(every, axis=0)
    axes.set(xlim=(left, right), ylim=(bottom, top))


def draw_points(axes: Axes, points: np.ndarray, style: dict, scale: float = 1.0) -> None:
    """Draw points (K, 2) as dots that are small enough not to cover each other."""
    points = points[~np.isnan(points).any(axis=-1)]
    panel = max(np.ptp(axes.get_xlim()), np.ptp(axes.get_ylim()))
    extent = np.ptp(points, axis=0).max() if len(points) > 1 else panel
    shown = 72 * PANEL * extent / panel
    diameter = np.clip(shown / (4.5 * math.sqrt(max(len(points), 1))), 2.5, 7)
    area, edge = (scale * diameter) ** 2, 0.15 * (diameter - 1)
    axes.scatter(*points.T, s=area, linewidths=edge, zorder=3, snap=False, clip_on=False, **style)


def add_legend(figure: Figure, **labels: str) -> None:
    """Explain the lines of a plot, or the symbols named, below the plot, where the legend hides nothing."""
    symbols = {
        "truth": {"marker": "o", "color": BLUE, "markeredgecolor": "white", "markersize": 9},
        "prediction": {"marker": "o", "color": ORANGE, "markeredgecolor": "black", "markersize": 7},
        "box": {"marker": "s", "color": "none", "markeredgecolor": GREEN, "markersize": 10, "markeredgewidth": 2},
        "edge": {"marker": "s", "color": "none", "markeredgecolor": "black", "markersize": 10},
    }
    handles = [Line2D([], [], linestyle="", label=text, **symbols[name]) for name, text in labels.items()]
    handles = handles or figure.axes[0].get_legend_handles_labels()[0]
    row = sum(len(str(handle.get_label())) + 6 for handle in handles) < 13 * figure.get_figwidth()
    columns = len(handles) if row else 1
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG without its white margins, whole or not at all. Raises KpError if it cannot be written."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", pil_kwargs={"compress_level": 0})
    with Image.open(drawn) as image:
        pixels = image.convert("RGB")
    left, top, right, bottom = ImageChops.invert(pixels).getbbox() or (0, 0, *pixels.size)
    border = (max(left - PAD, 0), max(top - PAD, 0), min(right + PAD, pixels.width), min(bottom + PAD, pixels.height))
    with replacing(path) as temporary:
        # matplotlib's own bbox_inches="tight" draws everything twice
        pixels.crop(border).save(temporary, "PNG", dpi=(DPI, DPI))


def square_crop(
    photograph: np.ndarray, points: Sequence[np.ndarray], margin: float = 0.15
) -> tuple[np.ndarray, np.ndarray]:
    """Cut a square around all points out of a photograph; white where it leaves the photograph.

    Args:
        photograph: (H, W) or (H, W, 3) uint8.
        points: arrays (…, 2) in its pixels; NaN is ignored.
        margin: on each side, as a share of the points' larger extent.

    Returns:
        The square, and the offset (2,) to subtract from points in the photograph.
    """
    every = np.concatenate([np.reshape(each, (-1, 2)) for each in points])
    every = every[~np.isnan(every).any(axis=1)]
    low, high = every.min(axis=0), every.max(axis=0)
    side = max(int(np.ceil((high - low).max() * (1 + 2 * margin))), 1)
    offset = np.rint((low + high - side) / 2).astype(int)
    result = np.full((side, side, *photograph.shape[2:]), 255, np.uint8)
    left, top = np.maximum(offset, 0)
    inside = photograph[top : max(offset[1] + side, 0), left : max(offset[0] + side, 0)]
    y, x = top - offset[1], left - offset[0]
    result[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
    return result, offset
