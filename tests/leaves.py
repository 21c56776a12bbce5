"""Drawn leaves: things that are no faces, in photographs with labels, each from a seed of its own.

    python tests/leaves.py FOLDER

writes the sets of docs/own_points.md.
"""

import json
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from kp_tf.core.keypoints import Scheme
from kp_tf.data.dlib_xml import write_dlib_xml
from kp_tf.data.samples import Samples

# lobes and the notches between them: degrees from the middle lobe, and distances from the base of the stem
LOBES = {"left low": (-112, 0.55), "left": (-55, 0.9), "tip": (0, 1.05), "right": (55, 0.9), "right low": (112, 0.55)}
NOTCHES = {"notch 1": (-84, 0.3), "notch 2": (-26, 0.42), "notch 3": (26, 0.42), "notch 4": (84, 0.3)}
NAMES = (*LOBES, *NOTCHES, "base", "stem")
PAIRS = {"left low": "right low", "left": "right", "notch 1": "notch 4", "notch 2": "notch 3"}
BOTH = PAIRS | {right: left for left, right in PAIRS.items()}
LEAF = Scheme(
    name="leaf",
    names=NAMES,
    groups=(("lobes", tuple(range(5))), ("notches", tuple(range(5, 9))), ("stem", (9, 10))),
    flip_indices=tuple(NAMES.index(BOTH.get(name, name)) for name in NAMES),
    eyes=(NAMES.index("base"), NAMES.index("tip")),
)
COLOURS = [(60, 120, 40), (190, 150, 40), (170, 70, 30), (110, 80, 50)]
SMOOTH = 3  # pixels of the drawing along one side of a pixel of the photograph
MARGIN = 0.05  # of the box around the points, in units of its longer side


def draw_leaf(seed, number, size=(320, 240), turn=45.0, share=(0.35, 0.8)):
    """A photograph of one leaf.

    Args:
        seed: of the set.
        number: of the photograph.
        size: width and height in pixels.
        turn: largest angle of the leaf in degrees, to both sides.
        share: smallest and largest length of the leaf in units of the photograph's height.

    Returns:
        The picture, its points (11, 2) and its box (4,), in pixels.
    """
    rng = np.random.default_rng([seed, number])
    lobes, notches = (_spokes(rng, spokes) for spokes in (LOBES, NOTCHES))
    bend = rng.normal(0, 0.12)
    stem = np.array([(0, 0), (bend, 0.3), (3 * bend, 0.62 * np.exp(rng.normal(0, 0.2)))])
    points = np.concatenate([lobes, notches, stem[[0, 2]]])
    matrix = _matrix(rng, size[1] * np.exp(rng.uniform(*np.log(share))) / np.ptp(points[:, 1]), turn)
    low, high = (limit((points @ matrix.T), axis=0) for limit in (np.min, np.max))
    offset = rng.uniform(-low, np.maximum(size - high, -low))
    canvas = _ground(rng, (size[0] * SMOOTH, size[1] * SMOOTH))
    _paint(canvas, rng, lobes, notches, stem, lambda points: (points @ matrix.T + offset) * SMOOTH)
    points = points @ matrix.T + offset - 0.5  # pixels have their centres at whole numbers
    picture = canvas.resize(size, Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(rng.uniform(0, 0.8)))
    noise = rng.normal(0, rng.uniform(1, 6), (size[1], size[0], 3))
    picture = Image.fromarray(np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8))
    low, high = points.min(axis=0), points.max(axis=0)
    margin = MARGIN * (high - low).max()
    return picture, points, np.array([*(low - margin), *(high - low + 2 * margin)])


def write_leaves(folder, seed, count):
    """Photographs and `leaves.xml` in a folder. Returns the samples, in whole pixels as the file has them."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = [draw_leaf(seed, number) for number in range(count)]
    files = tuple(f"leaf-{number:03}.png" for number in range(count))
    for file, (picture, _, _) in zip(files, drawn, strict=True):
        picture.save(folder / file)
    points, boxes = (np.array([leaf[k] for leaf in drawn]).round() for k in (1, 2))
    samples = Samples(folder, files, boxes, points, LEAF, files)
    write_dlib_xml(folder / "leaves.xml", samples, files)
    return samples


def write_sets(folder, training=120, test=60):
    """The folders `training` and `test` with leaves of their own, and the scheme `leaf.json`. Returns the test's."""
    write_leaves(folder / "training", 1, training)
    groups = {group: [NAMES[k] for k in points] for group, points in LEAF.groups}
    eyes = [NAMES[k] for k in LEAF.eyes]
    scheme = {"name": LEAF.name, "names": NAMES, "mirror": list(PAIRS.items()), "eyes": eyes, "groups": groups}
    (folder / "leaf.json").write_text(json.dumps(scheme))
    return write_leaves(folder / "test", 2, test)


def _spokes(rng, spokes):
    """Ends (N, 2) of lines from the base, y down, no two leaves alike."""
    angles, lengths = np.array(list(spokes.values())).T
    angles = np.radians(angles + rng.normal(0, 5, len(angles)))
    lengths = lengths * np.exp(rng.normal(0, 0.1, len(lengths)))
    return np.stack([lengths * np.sin(angles), -lengths * np.cos(angles)], axis=1)


def _matrix(rng, scale, turn):
    """From the leaf's coordinates to pixels from its base: sheared as a leaf seen at an angle, scaled and turned."""
    angle = np.radians(rng.uniform(-turn, turn))
    cos, sin = np.cos(angle), np.sin(angle)
    sheared = np.array([[rng.uniform(0.75, 1.1), rng.normal(0, 0.1)], [0, 1]])
    return scale * np.array([[cos, -sin], [sin, cos]]) @ sheared


def _ground(rng, size):
    """Smooth noise in two colours, with blades and stones on it."""
    width, height = size
    cells = rng.random((max(2, height // 60), max(2, width // 60)))
    noise = Image.fromarray((255 * cells).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
    colours = rng.uniform(20, 235, (2, 3))
    shade = np.asarray(noise, float)[..., None] / 255
    canvas = Image.fromarray((colours[0] + shade * (colours[1] - colours[0])).astype(np.uint8))
    draw = ImageDraw.Draw(canvas)
    for _ in range(rng.integers(0, 25)):
        colour = _rgb(rng.uniform(20, 235, 3))
        (x, y), (dx, dy) = rng.uniform(0, size), rng.normal(0, height / 6, 2)
        if rng.random() < 0.5:
            draw.line([(x, y), (x + dx, y + dy)], fill=colour, width=int(rng.integers(2, 12)))
        else:
            draw.ellipse([x, y, x + abs(dx) / 2, y + abs(dy) / 2], fill=colour)
    return canvas


def _paint(canvas, rng, lobes, notches, stem, place):
    draw = ImageDraw.Draw(canvas)
    colour = rng.choice(COLOURS) + rng.normal(0, 25, 3)
    fill, vein = (_rgb(colour * factor) for factor in (1, rng.choice([0.6, 1.45])))
    size = np.linalg.norm(place(np.array([(0, -1)])) - place(np.array([(0, 0)])))
    corners = [stem[0], lobes[0], notches[0], lobes[1], notches[1], lobes[2]]
    corners += [notches[2], lobes[3], notches[3], lobes[4], stem[0]]
    sides = [_side(*pair) for pair in pairwise(corners)]
    draw.line([tuple(p) for p in place(_curve(*stem))], fill=vein, width=max(2, int(0.05 * size)), joint="curve")
    draw.polygon([tuple(p) for p in place(np.concatenate(sides))], fill=fill)
    for lobe in lobes:
        along = place(np.array([stem[0], 0.93 * lobe]))
        draw.line([tuple(p) for p in along], fill=vein, width=max(1, int(0.02 * size)))


def _rgb(colour):
    return tuple(int(value) for value in np.clip(colour, 0, 255))


def _side(start, end):
    """A curved edge between a notch and a tip, which makes the lobe wider."""
    across = np.array([end[1] - start[1], start[0] - end[0]])
    return _curve(start, (start + end) / 2 + 0.2 * across, end)


def _curve(start, control, end):
    t = np.linspace(0, 1, 12)[:, None]
    return (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end


if __name__ == "__main__":
    write_sets(Path(sys.argv[1]))
