"""Reading pictures: a file in any of FORMATS becomes the same upright, opaque, 8-bit picture everywhere.

Points and boxes in label files and results are in pixels as stored, because that is what other tools write and read.
What a network sees is upright, over white where the file is transparent, and in 8 bits. `Orientation` converts
between the two. `tf.data` decodes the common case by itself (`is_plain`, see input/decode.py); everything else goes
through `open_photograph`.
"""

import io
import math
import os
import warnings
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngImageFile

from kp_tf.core.errors import KpError
from kp_tf.core.files import check_regular
from kp_tf.core.orientation import TURNS, Orientation

MAX_PIXELS = 178_956_970  # Pillow refuses more before it decodes
MAX_CROP_PIXELS = 2**24  # of a window that is cut out at full size
# the formats that are tried, whatever a file's name; none of them starts another program, as EPS would;
# JPEG includes MPO
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "JPEG2000", "AVIF", "HEIF", "TGA")
_NAMES = "jpg jpeg jpe jfif mpo png apng webp tif tiff bmp gif ppm pgm pbm pnm jp2 j2k jpx jpf avif heic heif hif tga"
SUFFIXES = frozenset(f".{name}" for name in _NAMES.split())

# colour spaces that a PNG may state; libpng, and so TensorFlow, then converts to grey in linear light, unlike Pillow
_LINEAR_LIGHT = {"gamma", "srgb", "icc_profile"}

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


def open_photograph(source: Picture, content: bytes | None = None) -> Photograph:
    """Open and decode a picture.

    Args:
        source: a path; a Pillow image; an array (H, W), (H, W, 3) or (H, W, 4) of uint8; or a Photograph.
        content: the bytes of the file, if they have been read already.

    Returns:
        The photograph, upright by its EXIF orientation, over white where it is transparent, in 8 bits.

    Raises:
        KpError: if the file does not exist, is not an image that Pillow can decode, or has too many pixels.
    """
    if isinstance(source, Photograph):
        return source
    if isinstance(source, np.ndarray):
        return Photograph("array", _rgb(Image.fromarray(_checked_array(source))))
    if isinstance(source, Image.Image):
        return _decoded("image", source)
    if not isinstance(source, str | os.PathLike):
        raise KpError(f"expected a picture, found {_what_is(source)}")
    path = Path(source)
    with _opened(path, content) as image:
        return _decoded(str(path), image)


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
    with _opened(path, None) as image:
        tag = _orientation_tag(image)
        width, height = image.size
        is_exchanged = TURNS[tag][0] and not _is_turned_by_pillow(image)
        return Orientation((height, width) if is_exchanged else (width, height), tag)


def is_photograph(path: Path) -> bool:
    """Whether a file is in one of FORMATS, by its header, whatever its name."""
    try:
        _opened(path, None).close()
    except KpError:
        return False
    return True


def is_plain(content: bytes) -> bool:
    """Whether a file is a JPEG or PNG of 8 bits, grey or RGB, opaque and stored upright.

    TensorFlow decodes such a file to the same pixels as `open_photograph` does.
    """
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG", "PNG")) as image:
            opaque = image.mode in ("L", "RGB") and "transparency" not in image.info
            if image.format == "PNG" and (content[24] != 8 or _LINEAR_LIGHT & image.info.keys()):  # 24: the bits
                return False
            return opaque and image.format in ("JPEG", "PNG") and _orientation_tag(image) == 1
    except Exception:  # `open_photograph` will say what is wrong with it
        return False


def crop_image(grey: Image.Image, window: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Cut a window out of a grey picture and resize it, as `input.decode.load_crop` does within rounding.

    Args:
        grey: picture of mode L.
        window: (4,) int left, top, width, height in pixels; black where it leaves the picture.
        shape: (H, W) to resize to.

    Returns:
        (H, W) uint8.
    """
    left, top, width, height = (int(value) for value in window)
    if width * height <= MAX_CROP_PIXELS:
        crop = grey.crop((left, top, left + width, top + height))
        return np.asarray(crop.resize((shape[1], shape[0]), Image.Resampling.BILINEAR))
    # of a very large window, only what shows the picture is cut out and resized
    columns = _visible_parts(left, width, grey.width, shape[1])
    rows = _visible_parts(top, height, grey.height, shape[0])
    result = np.zeros(shape, np.uint8)
    if columns and rows:
        x = left + np.array([columns.start, columns.stop]) * width / shape[1]
        y = top + np.array([rows.start, rows.stop]) * height / shape[0]
        corner_x, corner_y = math.floor(x[0]), math.floor(y[0])
        crop = grey.crop((corner_x, corner_y, math.ceil(x[1]), math.ceil(y[1])))
        box = (x[0] - corner_x, y[0] - corner_y, x[1] - corner_x, y[1] - corner_y)
        part = crop.resize((len(columns), len(rows)), Image.Resampling.BILINEAR, box)
        result[rows.start : rows.stop, columns.start : columns.stop] = np.asarray(part)
    return result


def _visible_parts(start: int, length: int, end: int, count: int) -> range:
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


def _opened(path: Path, content: bytes | None) -> Image.Image:
    """The file as Pillow opens it; nothing is decoded yet."""
    if content is None:
        check_regular(path)
    if not (path.stat().st_size if content is None else content):
        raise KpError(f"cannot read {path}: the file is empty")
    has_heif = _register_heif()
    missing = {name for name in ("AVIF", "HEIF") if name not in Image.OPEN}
    if path.suffix.lower() != ".tga":  # TGA has no signature, so that other files could be taken for it
        missing.add("TGA")
    formats = [name for name in FORMATS if name not in missing]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of pictures above half the limit, and of a damaged MPO
            return Image.open(path if content is None else io.BytesIO(content), formats=formats)
    except Image.DecompressionBombError:
        raise KpError(f"cannot read {path}: it has more than {MAX_PIXELS:,} pixels") from None
    except UnidentifiedImageError:
        if path.suffix.lower() in (".heic", ".heif") and not has_heif:
            raise KpError(f"cannot read {path}: HEIC needs pillow-heif (pip install pillow-heif)") from None
        raise KpError(f"cannot read {path}: not an image file") from None
    except Exception as error:  # a damaged header, whatever it leads Pillow to
        raise KpError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None


@cache
def _register_heif() -> bool:
    """Register Pillow's optional formats and return whether HEIC is among them."""
    if find_spec("PIL.AvifImagePlugin"):  # Pillow has it from 11.3 on
        import_module("PIL.AvifImagePlugin")
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True


def _orientation_tag(image: Image.Image) -> int:
    """EXIF's orientation; 1 if there is none, or none that is valid."""
    try:
        tag = image.getexif().get(ExifTags.Base.Orientation, 1) if _may_have_exif(image) else 1
    except Exception:  # EXIF that cannot be parsed has no orientation
        return 1
    return tag if isinstance(tag, int) and tag in TURNS else 1


def _may_have_exif(image: Image.Image) -> bool:
    """Whether there may be EXIF. Pillow decodes a whole PNG to look for it, because it may follow the pixels."""
    file = image.fp if isinstance(image, PngImageFile) else None
    if file is None:
        return True
    place = file.tell()
    file.seek(0)
    content = file.read()
    file.seek(place)
    return any(word in content for word in (b"eXIf", b"Raw profile type exif", b"XML:com.adobe.xmp"))


def _is_turned_by_pillow(image: Image.Image) -> bool:
    """Whether Pillow states the upright size and, while decoding, turns the pixels and removes the tag."""
    return image.format == "TIFF"


def _decoded(name: str, image: Image.Image) -> Photograph:
    if not (image.width and image.height):
        raise KpError(f"cannot read {name}: it has no pixels")
    try:
        return _upright(name, image)
    except Exception as error:  # Pillow's readers raise whatever a damaged file leads them to
        raise KpError(f"cannot read {name}: the image is damaged ({error})") from None


def _upright(name: str, image: Image.Image) -> Photograph:
    tag = _orientation_tag(image)  # before the pixels are decoded
    picture, transpose = _rgb(image), TURNS[tag][3]
    if transpose is not None and not _is_turned_by_pillow(image):
        picture = picture.transpose(transpose)
    return Photograph(name, picture, tag, _num_frames(image))


def _num_frames(image: Image.Image) -> int:
    """How many pictures a file holds whose first picture has been decoded."""
    try:
        return getattr(image, "n_frames", 1)
    except Exception:  # what follows the first picture is damaged
        return 1


def _rgb(image: Image.Image) -> Image.Image:
    """Convert a picture of any mode to RGB; the result shares no memory with it."""
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image, np.float64)
        # a TIFF of fractions goes from 0 to 1; 10, 12 or 14 bits are often stored in 16
        bits = next((b for b in (8, 10, 12, 14, 16) if values.max(initial=0) < 2**b), 16)
        most = 1 if image.mode == "F" and values.max(initial=0) <= 1 else 2**bits - 1
        image = Image.fromarray(np.clip(values * (255 / most) + 0.5, 0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")
