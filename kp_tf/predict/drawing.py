"""Drawing faces into their photographs."""

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from kp_tf.core.errors import KpError
from kp_tf.core.face import Face
from kp_tf.core.files import replacing
from kp_tf.core.images import Photograph
from kp_tf.core.keypoints import Scheme

# the palette of Okabe and Ito, which colour-blind people can tell apart
COLOURS = ("#56B4E9", "#E69F00", "#009E73", "#F0E442", "#D55E00", "#CC79A7")
MAX_JPEG = 65_500  # pixels on a side


def draw_faces(photograph: Photograph, faces: Sequence[Face]) -> Image.Image:
    """The upright photograph with boxes and points, each group of points in its own colour."""
    picture = photograph.upright.copy()
    canvas = ImageDraw.Draw(picture)
    for face in faces:
        left, top, width, height = photograph.orientation.boxes_to_upright(face.box[None])[0]
        size = max(width, height)
        radius, line = max(1.5, size / 110), max(1, round(size / 150))
        canvas.rectangle((left, top, left + width - 1, top + height - 1), outline="white", width=line)
        points = photograph.orientation.to_upright(face.points)
        for colour, (x, y) in zip(point_colours(face.scheme), points, strict=True):
            # a dark rim makes the point visible on skin and on white
            dot = (x - radius, y - radius, x + radius, y + radius)
            canvas.ellipse(dot, fill=colour, outline="black", width=max(1, round(radius / 3)))
    return picture


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
