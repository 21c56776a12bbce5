"""Canvases to learn from: faces of every size at every angle on backgrounds, and photographs turned by any angle."""

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from kp_tf.training.detector.backgrounds import Window, draw_textures, find_windows
from kp_tf.training.detector.camera import expose, photograph
from kp_tf.training.detector.pictures import Picture
from kp_tf.training.detector.targets import Boxes
from kp_tf.training.detector.warp import Similarity

KINDS, SHARES = ("mosaic", "scene", "portrait"), (0.45, 0.35, 0.2)
SIZES = {"mosaic": (14, 220), "scene": (12, 150), "portrait": (60, 300)}  # of faces, in pixels of the canvas
MIN_FACE = 12  # pixels of the smallest face to find
UPRIGHT, LEANING = 0.4, 15.0  # share of pictures that aren't turned by any angle, and σ of theirs in degrees
MAX_ENLARGED = 2.5  # times
MAX_PASTED = 24  # on one mosaic
DISTRACTORS = 0.35  # share of them without a face
REACH = (0.62, 1.2)  # of what is pasted from the face's centre, in box sides
NARROW = 1.0  # the most of it where a picture may show other faces
MASK, NUM_MASKS = 96, 64  # pixels
EDGE = 0.08  # of the canvas's side, inside which a picture's chosen face has its centre
VISIBLE = 0.55  # share of a box inside the canvas from which its face is one to find


class Source(NamedTuple):
    """What canvases are made of; `windows` and `textures` are without faces."""

    pictures: list[Picture]
    chances: np.ndarray  # of each picture, for mosaics and portraits
    scenes: np.ndarray  # numbers of the pictures that are shown as a whole
    windows: list[Window]
    textures: list[np.ndarray]
    masks: list[Image.Image]

    @classmethod
    def of(cls, pictures: list[Picture]) -> "Source":
        """Look for windows, draw textures and masks; the same pictures give the same source."""
        rng = np.random.default_rng(0)
        chances = np.array([picture.weight * (len(picture.boxes.faces) == 1) for picture in pictures])
        scenes = [number for number, picture in enumerate(pictures) if _is_scene(picture)]
        masks = [_draw_mask(rng) for _ in range(NUM_MASKS)]
        windows = find_windows(pictures, rng)
        return cls(pictures, chances / chances.sum(), np.array(scenes), windows, draw_textures(rng), masks)


def _is_scene(picture: Picture) -> bool:
    """Whether a picture is shown as a whole: one of several faces, or of weight 0."""
    known = len(picture.boxes.faces) + len(picture.boxes.ignored)
    return picture.is_complete and (known > 1 or (known == 1 and not picture.weight))


def draw_canvas(source: Source, side: int, rng: np.random.Generator) -> tuple[np.ndarray, Boxes]:
    """Draw one canvas.

    Args:
        source: what to draw from.
        side: of the square canvas in pixels.
        rng: decides on everything.

    Returns:
        (side, side) uint8, and its faces.
    """
    canvas = _background(source, side, rng)
    kind = str(rng.choice(KINDS, p=SHARES))
    if kind == "mosaic":
        boxes = _paste_many(source, canvas, rng)
    elif kind == "scene" and len(source.scenes):
        boxes = _place(source.pictures[rng.choice(source.scenes)], canvas, SIZES["scene"], rng)
    else:
        boxes = _place(source.pictures[_draw_face(source, rng)], canvas, SIZES["portrait"], rng)
    return photograph(canvas, rng), _to_find(boxes, side)


def _draw_face(source: Source, rng: np.random.Generator) -> int:
    return int(np.searchsorted(np.cumsum(source.chances), rng.random()).clip(0, len(source.pictures) - 1))


def _background(source: Source, side: int, rng: np.random.Generator) -> Image.Image:
    """A canvas without faces."""
    picture = _without_face(source, rng)
    scale = max(side / min(picture.size), np.exp(rng.uniform(-1.5, 0.5)))
    width, height = (int(side / scale) for _ in range(2))
    left, top = (int(rng.integers(full - part + 1)) for full, part in zip(picture.size, (width, height), strict=True))
    box = (left, top, left + max(width, 1), top + max(height, 1))
    canvas = picture.resize((side, side), Image.Resampling.BILINEAR, box)
    canvas = canvas.transpose(list(Image.Transpose)[rng.integers(7)]) if rng.random() < 0.5 else canvas
    return canvas.filter(ImageFilter.GaussianBlur(rng.uniform(1, 8))) if rng.random() < 0.15 else canvas


def _without_face(source: Source, rng: np.random.Generator) -> Image.Image:
    """A window of a picture, or now and then a texture."""
    if not source.windows or rng.random() < 0.3:
        return Image.fromarray(source.textures[rng.integers(len(source.textures))])
    number, left, top, side = source.windows[rng.integers(len(source.windows))]
    return Image.fromarray(source.pictures[number].grey[top : top + side, left : left + side])


def _angle(rng: np.random.Generator) -> float:
    return float(rng.normal(0, LEANING) if rng.random() < UPRIGHT else rng.uniform(-180, 180))


def _log_uniform(limits: tuple[float, float], rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(*np.log(limits))))


def _place(picture: Picture, canvas: Image.Image, sizes: tuple[int, int], rng: np.random.Generator) -> Boxes:
    """Put a picture on the canvas so that a face of it is there, in one of these sizes."""
    boxes, corner = picture.boxes, np.array(picture.grey.shape[::-1])
    all_boxes = np.concatenate([boxes.faces[:, :3], boxes.ignored])
    chosen = all_boxes[rng.integers(len(boxes.faces) or len(all_boxes))]
    scale = min(_log_uniform(sizes, rng) / chosen[2], MAX_ENLARGED)
    end = rng.uniform(EDGE, 1 - EDGE, 2) * canvas.width
    similarity = Similarity(scale, _angle(rng), rng.random() < 0.5, chosen[:2], end)
    reach = None if picture.is_complete else NARROW * chosen[2]
    low = np.zeros(2) if reach is None else np.maximum(chosen[:2] - reach, 0)
    high = corner if reach is None else np.minimum(chosen[:2] + reach, corner)
    mask = _outline(similarity, low, high, canvas.size, np.zeros(2))
    canvas.paste(similarity.warp(Image.fromarray(picture.grey), canvas.size), mask=mask)
    return similarity.boxes(boxes)


def _outline(
    similarity: Similarity, low: np.ndarray, high: np.ndarray, size: tuple[int, int], corner: np.ndarray
) -> Image.Image:
    """A mask of the part of a picture between two corners, as it lies on the canvas."""
    corners = np.array([low, (high[0], low[1]), high, (low[0], high[1])], np.float64)
    corners += np.sign(corners.mean(axis=0) - corners) * 0.6 / similarity.scale  # inside the last pixels
    mask = Image.new("L", size)
    places = similarity.points(corners) - corner
    ImageDraw.Draw(mask).polygon([(float(x), float(y)) for x, y in places], fill=255)
    return mask


def _paste_many(source: Source, canvas: Image.Image, rng: np.random.Generator) -> Boxes:
    """Paste faces, and other things in the same way, so that no outline tells a face."""
    faces = np.zeros((0, 4))
    for _ in range(rng.integers(1, MAX_PASTED + 1)):
        size, end, reach = _log_uniform(SIZES["mosaic"], rng), rng.uniform(0, canvas.width, 2), rng.uniform(*REACH)
        if rng.random() < DISTRACTORS:
            picture = _without_face(source, rng)
            start, side = np.array(picture.size) / 2, min(picture.size) / (2 * reach)
            pasted = np.zeros((0, 4))
        else:
            chosen = source.pictures[_draw_face(source, rng)]
            picture, pasted = Image.fromarray(chosen.grey), chosen.boxes.faces
            start, side = pasted[0, :2], pasted[0, 2]
            reach = reach if chosen.is_complete else min(reach, NARROW)
        distance = np.linalg.norm(faces[:, :2] - end, axis=1)
        if (distance < reach * size + 0.4 * faces[:, 2]).any() or size / side > MAX_ENLARGED:
            continue
        similarity = Similarity(size / side, _angle(rng), rng.random() < 0.5, start, end)
        _paste(picture, similarity, source.masks[rng.integers(NUM_MASKS)], reach * size, canvas, rng)
        faces = np.concatenate([faces, similarity.boxes(Boxes(pasted, np.zeros((0, 3)))).faces])
    return Boxes(faces, np.zeros((0, 3)))


def _paste(
    picture: Image.Image,
    similarity: Similarity,
    mask: Image.Image,
    reach: float,
    canvas: Image.Image,
    rng: np.random.Generator,
) -> None:
    """Paste what a mask shows of a picture; it reaches this many pixels of the canvas from the similarity's end."""
    half = int(np.ceil(reach * 2**0.5)) + 1
    corner = np.floor(similarity.end).astype(int) - half
    size, place = (2 * half, 2 * half), (int(corner[0]), int(corner[1]))
    middle = np.full(2, MASK / 2)
    shape = Similarity(2 * reach / MASK, similarity.angle, False, middle, similarity.end).warp(mask, size, place)
    inside = _outline(similarity, np.zeros(2), np.array(picture.size), size, corner)
    patch = similarity.warp(picture, size, place)
    patch = expose(patch, rng, 0.7) if rng.random() < 0.5 else patch
    canvas.paste(patch, place, ImageChops.multiply(shape, inside))


def _draw_mask(rng: np.random.Generator) -> Image.Image:
    """An ellipse or a rectangle with a soft or a sharp edge."""
    mask, edge = Image.new("L", (MASK, MASK)), rng.uniform(0, 8) if rng.random() < 0.6 else 0.0
    box = (1 + edge, 1 + edge, MASK - 2 - edge, MASK - 2 - edge)
    draw = ImageDraw.Draw(mask)
    if rng.random() < 0.5:
        draw.ellipse(box, fill=255)
    else:
        draw.rounded_rectangle(box, radius=rng.uniform(0, MASK / 3), fill=255)
    return mask.filter(ImageFilter.GaussianBlur(edge / 2)) if edge else mask


def _to_find(boxes: Boxes, side: int) -> Boxes:
    """The faces that can be found on a canvas; the others are neither faces nor background."""
    centre, half = boxes.faces[:, :2], boxes.faces[:, 2:3] / 2
    shown = np.clip(centre + half, 0, side) - np.clip(centre - half, 0, side)
    visible = shown.prod(axis=1) >= VISIBLE * boxes.faces[:, 2] ** 2
    on_canvas = ((centre > 0) & (centre < side)).all(axis=1)
    kept = visible & on_canvas & (boxes.faces[:, 2] >= MIN_FACE)
    return Boxes(boxes.faces[kept], np.concatenate([boxes.ignored, boxes.faces[~kept, :3]]))
