"""Reading pictures: a file of any format becomes the same upright, opaque, 8-bit picture everywhere.

Points and boxes in label files and results are in pixels as stored, because that is what other tools write and read.
What a network sees is upright, over white where the file is transparent, and in 8 bits. `Orientation` converts
between the two. `tf.data` decodes the common case by itself (`is_plain`, see input/decode.py); everything else goes
through `open_photograph`.
"""

import io
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from kp_tf.core.budget import BUDGET, max_pixels
from kp_tf.core.errors import KpError
from kp_tf.core.geometry import enclosing_windows, to_pixels, to_unit
from kp_tf.core.image_files import (
    MAX_SIDE,
    count_pixels,
    is_turned_by_pillow,
    open_image,
    open_quietly,
    orientation_tag,
)
from kp_tf.core.orientation import TURNS, Orientation
from kp_tf.core.pixels import to_upright_rgb

MAX_PLAIN_PIXELS = 2**25  # that TensorFlow decodes, on every core and outside of the budget
MAX_CROP_PIXELS = 2**24  # of a window that is cut out at full size
# colour spaces that a PNG may state; libpng, and so TensorFlow, then converts to grey in linear light, unlike Pillow
_LINEAR_LIGHT = {"gamma", "srgb", "icc_profile"}

_CORNERS = np.array([[(0, 0), (1, 0), (0, 1)]])  # of the unit square, which determine an affine map

Picture: TypeAlias = "str | Path | Image.Image | np.ndarray | Photograph"


@dataclass(frozen=True)
class Photograph:
    """A decoded picture.

    Attributes:
        name: for messages: its path, or what it is.
        upright: the RGB picture, turned as EXIF says.
        orientation_tag: EXIF's orientation, 1 to 8; 1 if the file has none.
        num_frames: how many pictures the file holds; this is the first.
    """

    name: str
    upright: Image.Image
    orientation_tag: int = 1
    num_frames: int = 1

    @property
    def orientation(self) -> Orientation:
        """The conversion from its pixels as stored to upright ones."""
        return Orientation(self.upright.size, self.orientation_tag)


def open_photograph(
    source: Picture, content: bytes | None = None, admit: Callable[[int], None] | None = None
) -> Photograph:
    """Open and decode a picture.

    Args:
        source: a path; a Pillow image; an array (H, W), (H, W, 3) or (H, W, 4) of uint8; or a Photograph. Only files
            have a limit on their size: all others are in memory already.
        content: the bytes of the file, if they have been read already.
        admit: called with the number of pixels before they are decoded.

    Returns:
        The photograph, upright by its EXIF orientation, over white where it is transparent, in 8 bits.

    Raises:
        KpError: if the file does not exist, is not an image that Pillow can decode, or has too many pixels.
    """
    if isinstance(source, Photograph):
        return source
    is_copy = isinstance(source, np.ndarray)
    if is_copy:
        source, name = Image.fromarray(_checked_array(source)), "array"
    elif isinstance(source, Image.Image):
        name = "image"
    elif not isinstance(source, str | os.PathLike):
        raise KpError(f"expected a picture, found {_what_is(source)}")
    else:
        with decoded_file(Path(source), content, admit) as photograph:
            return photograph
    if admit:
        admit(count_pixels(source))
    with BUDGET.decoding(count_pixels(source)):
        return _decoded(name, source, is_copy)


@contextmanager
def decoded_file(
    path: Path, content: bytes | None = None, admit: Callable[[int], None] | None = None
) -> Iterator[Photograph]:
    """As `open_photograph`, in a block throughout which the pixels count as being decoded.

    What the block keeps counts no longer, so it should keep nothing as large.
    """
    with open_image(path, content) as image:
        if admit:
            admit(count_pixels(image))
        with BUDGET.decoding(count_pixels(image)):
            yield _decoded(str(path), image, is_copy=isinstance(image, JpegImageFile))


def _what_is(source: object) -> str:
    """An argument that is not a picture, and what to pass instead."""
    if source is None:
        return "None, which OpenCV returns for a file that it cannot read"
    if isinstance(source, bytes | bytearray | memoryview):
        return "bytes; pass Image.open(io.BytesIO(content))"
    if hasattr(source, "__array__"):
        return f"a {type(source).__name__}; pass it as a NumPy array (H, W), (H, W, 3) or (H, W, 4) of uint8"
    return f"a {type(source).__name__}; pass a path, a Pillow image, or an array"


def read_orientation(path: Path) -> Orientation:
    """The size and orientation of a picture, from its header alone.

    Raises:
        KpError: if the file does not exist or is not an image.
    """
    with open_image(path, None) as image, BUDGET.decoding(count_pixels(image)):  # for `_may_have_exif`
        tag = orientation_tag(image)
        width, height = image.size
        is_exchanged = TURNS[tag][0] and not is_turned_by_pillow(image)
        return Orientation((height, width) if is_exchanged else (width, height), tag)


def is_plain(content: bytes) -> bool:
    """Whether a file is a JPEG or PNG of 8 bits, grey or RGB, opaque, stored upright and not very large.

    TensorFlow decodes such a file to the same pixels as `open_photograph` does.
    """
    try:
        with open_quietly(io.BytesIO(content), ("JPEG", "PNG")) as image:
            if count_pixels(image) > min(MAX_PLAIN_PIXELS, max_pixels()) or max(image.size) > MAX_SIDE:
                return False
            opaque = image.mode in ("L", "RGB") and "transparency" not in image.info
            if image.format == "PNG" and (content[24] != 8 or _LINEAR_LIGHT & image.info.keys()):  # 24: the bits
                return False
            return opaque and image.format in ("JPEG", "PNG") and orientation_tag(image) == 1
    except Exception:  # `open_photograph` will say what is wrong with it
        return False


def crop_image(picture: Image.Image, window: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Cut a window out of a picture in grey and resize it, as `input.decode.load_crop` does within rounding.

    Args:
        picture: of mode L or RGB.
        window: (4,) left, top, width, height in pixels, or (5,) with the angle; black where it leaves the picture.
        shape: (H, W) to resize to.

    Returns:
        (H, W) uint8.
    """
    if len(window) == 5 and window[4]:
        enclosing = enclosing_windows(window[None])[0]
        return rotate_crop(crop_image(picture, enclosing, enclosing_shape(shape)), enclosing, window, shape)
    left, top, width, height = (float(value) for value in window[:4])
    if width * height <= MAX_CROP_PIXELS:
        return _resized(picture, (left, top, left + width, top + height), shape)
    # of a very large window, only what shows the picture is cut out and resized
    columns = _visible_parts(left, width, picture.width, shape[1])
    rows = _visible_parts(top, height, picture.height, shape[0])
    result = np.zeros(shape, np.uint8)
    if columns and rows:
        x = left + np.array([columns.start, columns.stop]) * width / shape[1]
        y = top + np.array([rows.start, rows.stop]) * height / shape[0]
        part = _resized(picture, (x[0], y[0], x[1], y[1]), (len(rows), len(columns)))
        result[rows.start : rows.stop, columns.start : columns.stop] = part
    return result


def _resized(picture: Image.Image, box: tuple[float, float, float, float], shape: tuple[int, int]) -> np.ndarray:
    """The pixels between left, top, right and bottom as (H, W) uint8; black outside the picture."""
    left, top = math.floor(box[0]), math.floor(box[1])
    crop = picture.crop((left, top, math.ceil(box[2]), math.ceil(box[3])))
    crop = crop if crop.mode == "L" else crop.convert("L")
    inner = (box[0] - left, box[1] - top, box[2] - left, box[3] - top)
    return np.asarray(crop.resize((shape[1], shape[0]), Image.Resampling.BILINEAR, inner))


def enclosing_shape(shape: tuple[int, int]) -> tuple[int, int]:
    """The size at which to crop the window that encloses a rotated one; pixels keep about the same size."""
    side = math.ceil(math.hypot(*shape))
    return side, side


def rotate_crop(crop: np.ndarray, enclosing: np.ndarray, window: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A rotated window from the crop of the window that encloses it.

    Args:
        crop: (H', W') uint8.
        enclosing: (4,) the window of the crop, from `geometry.enclosing_windows`.
        window: (5,) the rotated window.
        shape: (H, W) of the result.

    Returns:
        (H, W) uint8.
    """
    corners = to_unit(to_pixels(_CORNERS, window[None]), enclosing[None])[0] * crop.shape[::-1]
    return _sampled(Image.fromarray(crop), corners, shape, Image.Resampling.BICUBIC)


def sample_window(grey: Image.Image, window: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """As `crop_image` of a rotated window, in one step without antialiasing; for windows of hardly more pixels."""
    return _sampled(grey, to_pixels(_CORNERS, window[None])[0] + 0.5, shape, Image.Resampling.BILINEAR)


def _sampled(picture: Image.Image, corners: np.ndarray, shape: tuple[int, int], filter: Image.Resampling) -> np.ndarray:
    """What lies between three corners (3, 2) of a picture, top left, top right and bottom left: (H, W) uint8."""
    x, y = (corners[1] - corners[0]) / shape[1], (corners[2] - corners[0]) / shape[0]
    coefficients = np.stack([x, y, corners[0]], axis=1).ravel().tolist()
    return np.asarray(picture.transform((shape[1], shape[0]), Image.Transform.AFFINE, coefficients, filter))


def _visible_parts(start: float, length: float, end: int, count: int) -> range:
    """Which of `count` equal parts of [start, start + length) overlap [0, end), and two more on both sides: one that
    antialiasing reaches, and one for its own antialiasing."""
    first = math.floor(max(-start, 0) * count / length) - 2
    last = math.ceil(min(end - start, length) * count / length) + 2
    return range(max(first, 0), min(last, count))


def _checked_array(array: np.ndarray) -> np.ndarray:
    if array.dtype != np.uint8 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))):
        kind = f"{array.shape} of {array.dtype}"
        raise KpError(f"array: expected (H, W), (H, W, 3) or (H, W, 4) of uint8, found {kind}")
    if not array.size:
        raise KpError(f"array: expected pixels, found the shape {array.shape}")
    return array


def _decoded(name: str, image: Image.Image, is_copy: bool) -> Photograph:
    if not (image.width and image.height):
        raise KpError(f"cannot read {name}: it has no pixels")
    with says_damaged(name):
        tag = orientation_tag(image)  # before the pixels are decoded
        pending = 1 if is_turned_by_pillow(image) else tag
        if is_copy and image.mode == "RGB" and pending == 1:
            image.load()  # the most common pictures need no second picture of its size
            return Photograph(name, image, tag, _num_frames(image))
        return Photograph(name, to_upright_rgb(image, pending), tag, _num_frames(image))


@contextmanager
def says_damaged(name: str) -> Iterator[None]:
    """Decode a picture in the block; any error becomes a KpError that says so."""
    try:
        yield
    except MemoryError:
        raise KpError(f"cannot read {name}: there is too little memory") from None
    except Exception as error:  # Pillow's readers raise whatever a damaged file leads them to
        raise KpError(f"cannot read {name}: the image is damaged ({error})") from None


def _num_frames(image: Image.Image) -> int:
    """How many pictures a file holds whose first picture has been decoded."""
    try:
        return getattr(image, "n_frames", 1)
    except Exception:  # what follows the first picture is damaged
        return 1
