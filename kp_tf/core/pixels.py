"""The pixels of a picture of any mode, in RGB and upright.

They are converted strip by strip, so that beside the picture and the result, which have at most four bytes a pixel
each, nothing large is in memory.
"""

from collections.abc import Iterator

import numpy as np
from PIL import Image

from kp_tf.core.orientation import TURNS

STRIP = 2**20  # pixels


def to_upright_rgb(image: Image.Image, tag: int) -> Image.Image:
    """Convert a picture to RGB of 8 bits over white and turn it as EXIF says; the result shares no memory with it.

    Args:
        image: of any mode. Grey of 10, 12 or 14 bits is recognised by its largest value, and so are fractions of 1.
        tag: EXIF's orientation of the pixels, 1 to 8.
    """
    image.load()
    is_exchanged, from_right, from_bottom, transpose = TURNS[tag]
    width, height = image.size
    most = _white(image) if image.mode.startswith(("I", "F")) else None
    result = Image.new("RGB", (height, width) if is_exchanged else (width, height))
    for top, strip in _strips(image):
        strip = _rgb(strip if most is None else _grey(strip, most))
        start = height - top - strip.height if (from_right if is_exchanged else from_bottom) else top
        turned = strip if transpose is None else strip.transpose(transpose)
        result.paste(turned, (start, 0) if is_exchanged else (0, start))
    return result


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Rows of the picture that are a strip together, and the first one's number."""
    rows = max(1, STRIP // image.width)
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _white(image: Image.Image) -> float:
    """The value that stands for white in grey of more than 8 bits."""
    most = max(np.fmax.reduce(np.asarray(strip), axis=None) for _, strip in _strips(image))
    if image.mode == "F" and most <= 1:  # a TIFF of fractions goes from 0 to 1
        return 1
    return 2 ** next((bits for bits in (8, 10, 12, 14, 16) if most < 2**bits), 16) - 1  # often stored in 16 bits


def _grey(strip: Image.Image, most: float) -> Image.Image:
    values = np.clip(np.nan_to_num(np.asarray(strip, np.float64)), 0, most)
    return Image.fromarray((values * (255 / most) + 0.5).astype(np.uint8))


def _rgb(strip: Image.Image) -> Image.Image:
    if strip.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in strip.info:
        strip = strip.convert("RGBA")
        strip = Image.alpha_composite(Image.new("RGBA", strip.size, "white"), strip)
    return strip.convert("RGB")
