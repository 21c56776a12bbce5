"""Image files: which are opened, how large they may be, and what their headers say. Nothing is decoded here."""

import io
import math
import threading
import warnings
from contextlib import suppress
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from PIL import ExifTags, Image, TiffImagePlugin, UnidentifiedImageError
from PIL.PngImagePlugin import PngImageFile

from kp_tf.core.budget import VARIABLE, max_pixels
from kp_tf.core.errors import KpError
from kp_tf.core.files import check_regular
from kp_tf.core.orientation import TURNS

MAX_SIDE = 65_535  # of a JPEG; Pillow keeps eight bytes for each row, which of a narrow picture are the most
MAX_BYTES = 2**30  # of a file; some decoders read all of it at once
# the formats that are tried, whatever a file's name; none of them starts another program, as EPS would;
# JPEG includes MPO
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "JPEG2000", "AVIF", "HEIF", "TGA")
COMMON = FORMATS[:2]  # those that need no further imports
_NAMES = "jpg jpeg jpe jfif mpo png apng webp tif tiff bmp gif ppm pgm pbm pnm jp2 j2k jpx jpf avif heic heif hif tga"
SUFFIXES = frozenset(f".{name}" for name in _NAMES.split())

_opening = threading.Lock()  # the filters of warnings belong to the process, not to a thread


def open_image(path: Path, content: bytes | None) -> Image.Image:
    """Open a file, or the content that was read from it, with Pillow, within the limits on its size.

    Raises:
        KpError: if it is none of FORMATS, is too large, or its header is damaged.
    """
    if content is None:
        check_regular(path)
    if not (size := path.stat().st_size if content is None else len(content)):
        raise KpError(f"cannot read {path}: the file is empty")
    if size > MAX_BYTES:
        raise KpError(f"cannot read {path}: the file has more than {MAX_BYTES / 1e9:.3g} GB")
    image = _identified(path, content)
    try:
        _check_size(path, image)
    except Exception as error:  # also a damaged tag
        image.close()
        raise error if isinstance(error, KpError) else KpError(f"cannot read {path}: {error}") from None
    return image


def is_photograph(path: Path) -> bool:
    """Whether a file is in one of FORMATS, by its header, whatever its name."""
    try:
        open_image(path, None).close()
    except KpError:
        return False
    return True


def _identified(path: Path, content: bytes | None) -> Image.Image:
    def open_as(formats: list[str] | tuple[str, ...]) -> Image.Image:
        return open_quietly(path if content is None else io.BytesIO(content), formats)

    try:
        with suppress(UnidentifiedImageError):
            return open_as(COMMON)
        return open_as(_formats(path))
    except Image.DecompressionBombError:
        raise _too_many_pixels(path) from None
    except UnidentifiedImageError:
        if path.suffix.lower() in (".heic", ".heif") and not _register_heif():
            raise KpError(f"cannot read {path}: HEIC needs pillow-heif (pip install pillow-heif)") from None
        raise KpError(f"cannot read {path}: not an image file") from None
    except Exception as error:  # a damaged header, whatever it leads Pillow to
        raise KpError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None


def _formats(path: Path) -> list[str]:
    """Those of FORMATS that can be opened and that a file may have."""
    _register_heif()
    missing = {name for name in ("AVIF", "HEIF") if name not in Image.OPEN}
    if path.suffix.lower() != ".tga":  # TGA has no signature, so that other files could be taken for it
        missing.add("TGA")
    return [name for name in FORMATS if name not in missing]


def open_quietly(source: Path | io.BytesIO, formats: list[str] | tuple[str, ...]) -> Image.Image:
    """`Image.open` without warnings, and with Pillow's limit on pixels no lower than `max_pixels`."""
    most = max_pixels()
    if Image.MAX_IMAGE_PIXELS and most > Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = most  # from here on Pillow warns, and it refuses twice as many
    with _opening, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of many pixels, which are refused below, or a damaged MPO
        return Image.open(source, formats=formats)


def _check_size(path: Path, image: Image.Image) -> None:
    if count_pixels(image) > max_pixels():
        raise _too_many_pixels(path)
    if max(image.size) > MAX_SIDE:
        raise KpError(f"cannot read {path}: a side has more than {MAX_SIDE:,} pixels")


def _too_many_pixels(path: Path) -> KpError:
    return KpError(f"cannot read {path}: it has more than {max_pixels():,} pixels; ${VARIABLE} sets the limit")


def count_pixels(image: Image.Image) -> int:
    """How many pixels are decoded at once: those of the picture or, in a TIFF, of a tile that is larger."""
    tags = getattr(image, "tag_v2", {})
    tile = [tags.get(tag, 0) for tag in (TiffImagePlugin.TILEWIDTH, TiffImagePlugin.TILELENGTH)]
    return max(image.width * image.height, math.prod(side if isinstance(side, int) else 0 for side in tile))


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


def orientation_tag(image: Image.Image) -> int:
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
    found, part = False, b""
    while not found and (more := file.read(2**20)):
        part = part[-20:] + more  # with the start of a word that goes on here
        found = any(word in part for word in (b"eXIf", b"Raw profile type exif", b"XML:com.adobe.xmp"))
    file.seek(place)
    return found


def is_turned_by_pillow(image: Image.Image) -> bool:
    """Whether Pillow states the upright size and, while decoding, turns the pixels and removes the tag."""
    return image.format == "TIFF"
