"""Drawing faces into their photographs."""

import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from kp_tf.core.errors import KpError
from kp_tf.core.face import Face
from kp_tf.core.files import replacing
from kp_tf.core.geometry import scale_boxes
from kp_tf.core.images import Photograph, Picture, open_photograph
from kp_tf.core.keypoints import Scheme

# the palette of Okabe and Ito, which colour-blind people can tell apart
COLOURS = ("#56B4E9", "#E69F00", "#009E73", "#F0E442", "#D55E00", "#CC79A7")
CUT_SIZE = 240  # pixels of an enlarged face, or a sixth of the picture's longer side
SMALL = 1 / 3  # of that size: smaller faces are enlarged below the picture
CUT_SCALE = 1.6  # of the box's longer side: what is enlarged
SMALLEST_TEXT = 12  # pixels
GAP = 4  # pixels around enlarged faces
MAX_JPEG = 65_500  # pixels on a side


def draw(image: Picture, faces: Sequence[Face]) -> Image.Image:
    """Draw faces into their photograph: boxes, points in the colours of their groups, and numbers of several faces.

    Lines, dots and numbers are in proportion to the face. Faces that are small in the photograph are shown again,
    enlarged, in a strip below it.

    Args:
        image: the photograph, as it was passed to `Predictor.predict`.
        faces: what `predict` returned for it; they are numbered from 1 in this order, or by their `number` in a clip.

    Returns:
        The upright RGB picture, with the strip below it if there are small faces.

    Raises:
        KpError: if the photograph cannot be read.
    """
    photograph = open_photograph(image)
    picture, side = draw_faces(photograph, faces), _cut_size(photograph)
    small = [k for k, face in enumerate(faces) if max(face.box[2:]) < SMALL * side]
    if not small:
        return picture
    numbers = _numbers(faces)
    cuts = [_cut(photograph, faces[k], side, numbers[k]) for k in small]
    step = side + GAP
    columns = max((picture.width - GAP) // step, math.ceil(math.sqrt(len(cuts))))
    rows, width = math.ceil(len(cuts) / columns), GAP + min(columns, len(cuts)) * step
    sheet = Image.new("RGB", (max(picture.width, width), picture.height + GAP + rows * step))
    sheet.paste(picture)
    for place, cut in enumerate(cuts):
        row, column = divmod(place, columns)
        sheet.paste(cut, (GAP + column * step, picture.height + GAP + row * step))
    return sheet


def draw_faces(photograph: Photograph, faces: Sequence[Face]) -> Image.Image:
    """The upright photograph with boxes, points and numbers, without enlarged faces below it."""
    picture = photograph.upright.copy()
    canvas = ImageDraw.Draw(picture)
    for face in faces:
        left, top, width, height = face.upright.box
        size = max(width, height)
        line = max(1, round(size / 150))
        canvas.rectangle((left, top, left + width - 1, top + height - 1), outline="white", width=line)
        _draw_points(canvas, face.upright.points, face.scheme, size)
    taken: list[tuple[float, float, float, float]] = []
    for number, face in zip(_numbers(faces), faces, strict=True):
        if number:
            _draw_number(canvas, number, face.upright.box, picture.size, taken)
    return picture


def _numbers(faces: Sequence[Face]) -> list[str]:
    """What is written beside each face; nothing beside a face that is alone in a photograph."""
    if len(faces) == 1 and faces[0].number is None:
        return [""]
    return [str(k if face.number is None else face.number) for k, face in enumerate(faces, 1)]


def _draw_points(canvas: ImageDraw.ImageDraw, points: np.ndarray, scheme: Scheme, size: float) -> None:
    """Draw points (K, 2) of a face of this size as dots with a dark rim, which shows on skin and on white."""
    radius = max(1.5, size / 110)
    for colour, (x, y) in zip(point_colours(scheme), points, strict=True):
        if not np.isnan(x + y):
            dot = (x - radius, y - radius, x + radius, y + radius)
            canvas.ellipse(dot, fill=colour, outline="black", width=max(1, round(radius / 3)))


def _draw_number(
    canvas: ImageDraw.ImageDraw,
    number: str,
    box: np.ndarray,
    size: tuple[int, int],
    taken: list[tuple[float, float, float, float]],
) -> None:
    """Write a number at a corner of its box, outside it where there is room, and not on numbers that are `taken`."""
    left, top, width, height = box
    face, longer = max(width, height), max(size)
    text = round(max(SMALLEST_TEXT, face / 8, min(longer / 70, face / 2)))
    wide, high = round(text * (0.4 + 0.62 * len(number))), round(1.2 * text)
    places = [
        (x, y)
        for y in (top - high, top + height, top, top + height - high)  # above and below the box, then inside
        for x in (left, left + width - wide)
    ]
    corners = [(x, y, x + wide, y + high) for x, y in places]
    inside = [tag for tag in corners if min(tag[:2]) >= 0 and tag[2] <= size[0] and tag[3] <= size[1]]
    free = [tag for tag in inside if not any(_overlap(tag, other) for other in taken)]
    tag = (free or inside or corners)[0]
    taken.append(tag)
    x, y, right, end = tag
    canvas.rectangle((x, y, right - 1, end - 1), fill="black", outline="white")
    middle = ((x + right) / 2, (y + end) / 2)
    canvas.text(middle, number, "white", ImageFont.load_default(text), anchor="mm")


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _cut_size(photograph: Photograph) -> int:
    return max(CUT_SIZE, max(photograph.upright.size) // 6)


def _cut(photograph: Photograph, face: Face, side: int, number: str) -> Image.Image:
    """A face enlarged to a square of this side, with its points and its number."""
    left, top, width, height = scale_boxes(face.upright.box[None], CUT_SCALE)[0]
    extent = max(width, height)
    corner = np.floor([left + (width - extent) / 2, top + (height - extent) / 2])
    extent = int(np.ceil(extent)) + 1
    x, y = (int(value) for value in corner)
    window = photograph.upright.crop((x, y, x + extent, y + extent))
    cut = window.resize((side, side), Image.Resampling.LANCZOS)
    canvas, scale = ImageDraw.Draw(cut), side / extent
    points = (face.upright.points - corner + 0.5) * scale - 0.5
    _draw_points(canvas, points, face.scheme, side / CUT_SCALE)
    if number:
        _draw_number(canvas, number, np.array([0, 0, side, side]), cut.size, [])
    return cut


def point_colours(scheme: Scheme) -> list[str]:
    """The colour of each point, by its group."""
    colours = [COLOURS[-1]] * len(scheme)
    for number, (_, indices) in enumerate(scheme.groups):
        for index in indices:
            colours[index] = COLOURS[number % len(COLOURS)]
    return colours


def save_picture(picture: Image.Image, path: Path) -> None:
    """Write a picture whole or not at all.

    Raises:
        KpError: if the file cannot be written, or if it is a JPEG and the picture is too large for one.
    """
    encoded, format = io.BytesIO(), Image.registered_extensions()[path.suffix.lower()]
    if format == "JPEG" and max(picture.size) > MAX_JPEG:
        raise KpError(
            f"cannot write {path}: a JPEG has at most {MAX_JPEG:,} pixels on a side, not {max(picture.size):,}"
        )
    picture.save(encoded, format, quality=92)  # into memory: Pillow does not notice a short write to a full disk
    with replacing(path) as temporary:
        temporary.write_bytes(encoded.getvalue())
