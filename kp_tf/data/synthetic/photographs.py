"""Draws single photographs in the manner of IMM and of 300-W, with their labels, each from a seed of its own."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from kp_tf.core.geometry import to_unit
from kp_tf.core.keypoints import IBUG68
from kp_tf.data.synthetic.head import Head, Pose
from kp_tf.data.synthetic.landmarks import ibug68, imm58
from kp_tf.data.synthetic.painting import paint_body, paint_head, smooth_noise
from kp_tf.data.synthetic.people import Person, draw_expression, draw_light, draw_person

_IMM_PATHS = ((0, 13, 4), (1, 8, 0), (2, 8, 0), (3, 5, 4), (4, 5, 4), (5, 8, 0), (6, 11, 4))  # path, points, type
_BOX_SIDE = 271  # of dlib's boxes, in head units


def draw_imm(folder: Path, seed: int, number: int, condition: int) -> None:
    """Draw person `number` in one of IMM's conditions and write the photograph and its `.asf` into a folder.

    The conditions are 1 neutral, 2 happy, 3 and 4 turned to the left and right of the picture, 5 in a spot light,
    and 6 with any expression, pose and light.
    """
    person = draw_person(np.random.default_rng([seed, 0, number]))
    rng = np.random.default_rng([seed, 0, number, condition])
    turn, free = {3: -1, 4: 1}.get(condition, 0), condition == 6
    yaw = turn * np.clip(rng.normal(33, 7), 15, 45) + rng.normal(0, 20 if free else 3)
    pitch, roll = rng.normal(0, 9 if free else 6), rng.normal(0, 10 if free else 5)
    x, y = 324 + 12 * turn + rng.normal(0, 21), 281 + rng.normal(0, 15)  # the real mean, and more variation
    pose = Pose(yaw, pitch, roll, 0.768 * np.exp(rng.normal(0, 0.07)), x, y)
    head = Head(draw_expression(rng, person.face, {2: "happy", 6: "any"}.get(condition, "neutral")))
    board = np.array([0.12, 0.22, 0.22]) * np.exp(rng.normal(0, 0.4))
    canvas = _background(rng, (480, 640), np.stack([board * 0.6, board * 2]), (120, 240), 0)
    spot = condition == 5 or (free and rng.random() < 0.5)
    stem = f"{number:02d}-{condition}{person.gender}"
    _photograph(canvas, head, pose, person, spot, 0.08, rng).save(folder / f"{stem}.jpg", quality=85)
    points = to_unit(imm58(head, pose)[None], np.array([(0, 0, 640, 480)]))[0]
    (folder / f"{stem}.asf").write_text(_asf(points, f"{stem}.jpg"), encoding="ascii")


def _asf(points: np.ndarray, photograph: str) -> str:
    """IMM's file of points (58, 2) relative to the photograph."""
    rows, first = [], 0
    for path, count, kind in _IMM_PATHS:
        for k in range(count):
            ends = ((k - 1) % count, (k + 1) % count) if kind == 0 else (max(k - 1, 0), min(k + 1, count - 1))
            x, y = points[first + k]
            rows.append(f"{path} \t{kind} \t{x:.8f} \t{y:.8f} \t{first + k} \t{first + ends[0]} \t{first + ends[1]}")
        first += count
    return "\n".join(["# AAM Shape File, drawn by kp_tf", "58", *rows, photograph, ""])


def draw_ibug(folder: Path, seed: int, test: bool, number: int) -> str:
    """Draw a face of 300-W's train or test set and write the photograph into a folder.

    Returns:
        The photograph's <image> of the XML, with a box as dlib's detector sets it; in a test it has no points.
    """
    rng = np.random.default_rng([seed, 2 if test else 1, number])
    person = draw_person(rng)
    side = int(rng.choice([105, 126, 151, 182, 218, 224, 224, 224]))
    width, height = (int(np.clip(side * rng.uniform(1.7, 2.4), 260, 520)) for _ in range(2))
    yaw, pitch, roll = np.clip(rng.normal(0, (16, 8, 7.5)), -42, 42)
    scale = side / _BOX_SIDE * np.exp(rng.normal(0, 0.075))
    pose = Pose(yaw, pitch, roll, scale, width * rng.normal(0.5, 0.06), height * rng.normal(0.52, 0.05))
    head = Head(draw_expression(rng, person.face, "any"))
    canvas = _background(rng, (height, width), rng.random((4, 3)), (4, 15, 40, 90, 200), 0.5)
    image = _photograph(canvas, head, pose, person, rng.random() < 0.3, 0.18, rng)
    name = f"{'sample_test' if test else 'sample'}/{number:05d}.{'jpg' if number % (4 if test else 25) else 'png'}"
    image.save(folder / name, quality=85)
    points = ibug68(head, pose)
    # where the real boxes lie about the mean of the points within the jaw
    middle = rng.normal((0.515 + 0.1 * np.sin(np.radians(yaw)), 0.507), (0.031, 0.042))
    left, top = np.rint(points[17:].mean(axis=0) - side * middle + 0.5).astype(int)
    box = f"<box top='{top}' left='{left}' width='{side}' height='{side + int(rng.random() < 0.25)}'>"
    parts = [f"<part name='{k}' x='{x:.1f}' y='{y:.1f}'/>" for k, (x, y) in zip(IBUG68.names, points, strict=True)]
    return "\n".join([f"<image file='{name}'>", box, *(() if test else parts), "</box>", "</image>", ""])


def _background(
    rng: np.random.Generator, shape: tuple[int, int], colours: np.ndarray, grains: tuple[int, ...], sharp: float
) -> np.ndarray:
    """A background (H, W, 3) of patches in colours (n, 3), about as large as one of the grains, in pixels.

    The edges of the patches of a colour are sharp with probability `sharp`.
    """
    canvas = np.full((*shape, 3), colours[0], np.float32)
    for colour in colours[1:]:
        patches = smooth_noise(rng, shape, rng.choice(grains))[..., None]
        patches = np.float32(patches > 0.5) if rng.random() < sharp else patches
        canvas += patches * np.float32(rng.uniform(0.3, 0.9)) * (colour.astype(np.float32) - canvas)
    return canvas


def _photograph(
    canvas: np.ndarray,
    head: Head,
    pose: Pose,
    person: Person,
    spot: bool,
    exposure: float,
    rng: np.random.Generator,
) -> Image.Image:
    """Paint a person before a background (H, W, 3), and expose, blur and grain the picture.

    `exposure` is the standard deviation of the logarithm of the brightness.
    """
    light = draw_light(rng, spot)
    paint_body(canvas, pose, person, light, rng)
    paint_head(canvas, head, pose, person, light, rng)
    exposed = (canvas * (255 * np.exp(rng.normal(0, exposure)))).clip(0, 255).astype(np.uint8)
    blurred = Image.fromarray(exposed).filter(ImageFilter.BoxBlur(rng.uniform(0.3, 0.9)))
    grain = rng.standard_normal((*canvas.shape[:2], 1), np.float32) * rng.uniform(0.5, 6)
    return Image.fromarray((np.asarray(blurred) + grain + 0.5).clip(0, 255).astype(np.uint8))
