"""Figures of photographs: training samples, faces with truth and prediction, filters, test photographs."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from kp_tf.evaluate.canvas import (
    DPI,
    GREEN,
    PREDICTION,
    TRUTH,
    add_legend,
    draw_points,
    new_panels,
    save_figure,
    set_title,
    show_pixels,
)


def training_samples(path: Path, images: np.ndarray, points: np.ndarray, title: str) -> None:
    """Draw up to 12 inputs of a network, with a margin that shows the points outside them.

    Args:
        path: the picture.
        images: (N, H, W, 1) uint8, cropped and augmented.
        points: (N, K, 2) in the unit square of each image.
        title: of the picture.
    """
    images, points = images[:12], points[:12]
    size = np.array(images.shape[2:0:-1])  # width, height
    low = np.minimum(np.nanmin(points, axis=(0, 1), initial=0), 0) - 0.04
    high = np.maximum(np.nanmax(points, axis=(0, 1), initial=1), 1) + 0.04
    limits = np.stack([low, high]) * size - 0.5
    width, height = limits[1] - limits[0]
    figure, panels = new_panels(len(images), 4, title, height / width)
    for axes, image, place in zip(panels, images, points, strict=True):
        show_pixels(axes, image, limits)
        axes.add_patch(Rectangle((-0.5, -0.5), *size, fill=False, edgecolor="black", linewidth=0.8))
        draw_points(axes, place * size - 0.5, TRUTH)
    add_legend(figure, truth="point", edge="edge of the network's input: points may lie outside it")
    save_figure(figure, path)


def faces(
    path: Path,
    photographs: Sequence[np.ndarray],
    truth: Sequence[np.ndarray],
    prediction: Sequence[np.ndarray],
    errors: Sequence[str],
    best: int | None,
    title: str,
) -> None:
    """Draw faces with ground truth and prediction, the best above and the worst below.

    Args:
        path: the picture.
        photographs: N uint8 arrays (H, W) or (H, W, 3) of any size, cut out around the face (`square_crop`): first
            the best, then the worst.
        truth: N arrays (K, 2) in pixels of those.
        prediction: N arrays (K, 2) in pixels of those.
        errors: N texts, such as "NME 3.1 %".
        best: how many of the N are the best ones; 0 if all are the worst; None if they are neither.
        title: of the picture.
    """
    row = best or len(photographs)
    columns = math.ceil(row / math.ceil(row / 4))
    named, best = best is not None, best or 0
    gap = -best % columns  # so that the worst start a row
    aspect = max(photograph.shape[0] / photograph.shape[1] for photograph in photographs)
    figure, panels = new_panels(len(photographs) + gap, columns, title, aspect + 0.09)  # room for the errors
    for axes in panels[best : best + gap]:
        axes.remove()
    panels = [*panels[:best], *panels[best + gap :]]
    for i, axes in enumerate(panels):
        show_pixels(axes, photographs[i], truth[i], prediction[i])
        axes.add_collection(LineCollection(list(np.stack([truth[i], prediction[i]], axis=1)), colors="white", lw=0.8))
        draw_points(axes, truth[i], TRUTH, 1.5)
        draw_points(axes, prediction[i], PREDICTION)
        axes.set_title(errors[i], fontsize=10)
        first, name = (0, "best") if i < best else (best, "worst")
        if named and (i - first) % columns == 0:
            axes.set_ylabel(name, fontsize=13, fontweight="bold")
    add_legend(figure, truth="truth", prediction="prediction")
    save_figure(figure, path)


def filters(path: Path, kernels: np.ndarray, title: str) -> None:
    """Draw the filters (h, w, 1, n) of a first layer, all on one colour scale that is symmetrical about 0."""
    limit = float(np.abs(kernels).max())
    h, w, _, count = kernels.shape
    columns = min(math.ceil(math.sqrt(count)), 8)
    rows = math.ceil(count / columns)
    # a single image with gaps, because a panel for each filter takes seconds
    sheet = np.full((rows, h + 1, columns, w + 1), np.nan)
    for k in range(count):
        sheet[k // columns, :h, k % columns, :w] = kernels[:, :, 0, k]
    figure = Figure(figsize=(max(0.9 * columns + 1, 4.5), 0.9 * rows + 0.9), dpi=DPI, layout="compressed")
    set_title(figure, title)
    axes = figure.subplots()
    pixels = sheet.reshape(rows * (h + 1), -1)[:-1, :-1]
    drawn = axes.imshow(pixels, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
    axes.set_axis_off()
    figure.colorbar(drawn, ax=axes, label="weight", shrink=0.8)
    save_figure(figure, path)


def test_photographs(
    path: Path, photographs: Sequence[np.ndarray], boxes: np.ndarray, prediction: np.ndarray, title: str
) -> None:
    """Draw whole photographs with the box of the face and the predicted points.

    Args:
        path: the picture.
        photographs: N uint8 arrays (H, W) or (H, W, 3) of any size.
        boxes: (N, 4) left, top, width, height in pixels.
        prediction: (N, K, 2) in pixels.
        title: of the picture.
    """
    figure, panels = new_panels(len(photographs), 4, title)
    for axes, photograph, box, points in zip(panels, photographs, boxes, prediction, strict=True):
        corner, size = np.array(box[:2]) - 0.5, np.array(box[2:])
        show_pixels(axes, photograph, points, np.stack([corner, corner + size]))
        for colour, line in (("white", 3.5), (GREEN, 2)):
            axes.add_patch(Rectangle(tuple(corner), *size, fill=False, edgecolor=colour, linewidth=line))
        draw_points(axes, points, PREDICTION)
    add_legend(figure, prediction="predicted point", box="box of the face")
    save_figure(figure, path)
