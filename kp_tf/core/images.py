"""Any picture that Pillow opens, upright, and where its pixels lie in the file.

Points and boxes are in the pixels as stored, because readers of training data ignore EXIF's orientation; what is
shown and what a network sees is upright. `Turn` goes from one to the other.
"""

import io
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from kp_tf.core.errors import KpError

LARGEST = 2 * Image.MAX_IMAGE_PIXELS  # 179 million: Pillow refuses more before it decodes
_NAMES = "jpg jpeg jpe png bmp gif tif tiff webp ppm pgm heic heif avif"
SUFFIXES = frozenset(f".{name}" for name in _NAMES.split())

# of EXIF: whether x and y are exchanged, and then whether each is counted from the other end
TURNS = {
    **{1: (False, False, False), 2: (False, True, False), 3: (False, True, True), 4: (False, False, True)},
    **{5: (True, False, False), 6: (True, True, False), 7: (True, True, True), 8: (True, False, True)},
}

Picture = "str | Path | Image.Image | np.ndarray | Photograph"


@dataclass(frozen=True)
class Turn:
    """From pixels as stored to those of the upright picture, and back.

    Attributes:
        size: width and height of the upright picture.
        orientation: EXIF's, 1 to 8.
    """

    size: tuple[int, int]
    orientation: int = 1

    def to_upright(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 2) in the pixels as stored to the upright picture's."""
        swap, left, up = TURNS[self.orientation]
        turned = points[..., ::-1] if swap else points
        return np.where((left, up), np.array(self.size) - 1 - turned, turned)

    def to_stored(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 2) in the upright picture's pixels to those as stored."""
        swap, left, up = TURNS[self.orientation]
        turned = np.where((left, up), np.array(self.size) - 1 - points, points)
        return turned[..., ::-1] if swap else turned

    def boxes_to_upright(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes (N, 4) of left, top, width, height, as `to_upright`."""
        return _turn_boxes(self.to_upright, boxes)

    def boxes_to_stored(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes (N, 4) of left, top, width, height, as `to_stored`."""
        return _turn_boxes(self.to_stored, boxes)


def _turn_boxes(turn: Callable[[np.ndarray], np.ndarray], boxes: np.ndarray) -> np.ndarray:
    boxes = np.asarray(boxes, np.float64)
    corners = np.stack([boxes[:, :2] - 0.5, boxes[:, :2] + boxes[:, 2:] - 0.5], axis=1)  # of pixels' edges
    corners = np.sort(turn(corners), axis=1)
    return np.concatenate([corners[:, 0] + 0.5, corners[:, 1] - corners[:, 0]], axis=1)


@dataclass(frozen=True)
class Photograph:
    """A picture to be looked at.

    Attributes:
        name: for messages: its path, or what it is.
        upright: RGB, turned as EXIF says.
        orientation: EXIF's, 1 to 8; 1 where the file says nothing.
    """

    name: str
    upright: Image.Image
    orientation: int = 1

    @property
    def turn(self) -> Turn:
        """From its pixels as stored to the upright ones."""
        return Turn(self.upright.size, self.orientation)


def open_photograph(source: Picture, content: bytes | None = None) -> Photograph:
    """Open and decode a picture.

    Args:
        source: a path; a Pillow image; an array (H, W), (H, W, 3) or (H, W, 4) of uint8; or a Photograph.
        content: of the file, where it need not be read.

    Returns:
        The photograph. Transparent parts are white, 16 bits become 8, EXIF's orientation is followed.

    Raises:
        KpError: if there is no such file, it is no picture that Pillow can decode, or has too many pixels.
    """
    if isinstance(source, Photograph):
        return source
    if isinstance(source, np.ndarray):
        if source.dtype != np.uint8 or not (source.ndim == 2 or (source.ndim == 3 and source.shape[2] in (3, 4))):
            found = f"{source.shape} of {source.dtype}"
            raise KpError(f"array: expected (H, W), (H, W, 3) or (H, W, 4) of uint8, found {found}")
        if not source.size:
            raise KpError(f"array: expected pixels, found {source.shape}")
        return Photograph("array", _rgb(Image.fromarray(source)))
    if isinstance(source, Image.Image):
        return _upright("image", source)
    path = Path(source)
    if content is None and not path.is_file():
        raise KpError(f"{path}: expected a photograph, found no such file")
    if not (path.stat().st_size if content is None else content):
        raise KpError(f"{path}: expected a photograph, found an empty file")
    heif = _register_heif()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # of half the limit
            with Image.open(path if content is None else io.BytesIO(content)) as image:
                return _upright(str(path), image)
    except Image.DecompressionBombError as error:
        raise KpError(f"{path}: expected a photograph of at most {LARGEST:,} pixels, found: {error}") from None
    except UnidentifiedImageError:
        if path.suffix.lower() in (".heic", ".heif") and not heif:
            raise KpError(f"{path}: HEIC needs pillow-heif: pip install pillow-heif") from None
        raise KpError(f"{path}: expected a photograph, found a file that is no picture") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise KpError(f"{path}: expected a photograph, found a damaged one: {error}") from None


@cache
def _register_heif() -> bool:
    """Teach Pillow HEIC, where the extra is installed."""
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True


def _upright(name: str, image: Image.Image) -> Photograph:
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    if orientation not in TURNS:
        orientation = 1
    return Photograph(name, _rgb(ImageOps.exif_transpose(image)), orientation)


def _rgb(image: Image.Image) -> Image.Image:
    """Any mode to RGB."""
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image, np.float64)
        # 16 bits, however Pillow calls them; fractions of TIFF go from 0 to 1
        most = 1 if image.mode == "F" and values.max() <= 1 else 255 if values.max() <= 255 else 65535
        image = Image.fromarray(np.clip(values * (255 / most) + 0.5, 0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image if image.mode == "RGB" else image.convert("RGB")


def cut_out(grey: Image.Image, window: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A window of a grey picture, resized: (H, W) uint8, as `pipeline.load_crop` within rounding.

    Args:
        grey: of mode L.
        window: (4,) int left, top, width, height in pixels; black where it leaves the picture.
        shape: (H, W) to resize to.
    """
    left, top, width, height = (int(value) for value in window)
    crop = grey.crop((left, top, left + width, top + height))
    return np.asarray(crop.resize(shape[::-1], Image.Resampling.BILINEAR))


def check_boxes(name: str, boxes: object) -> np.ndarray:
    """Boxes as an array (N, 4) of float64.

    Raises:
        KpError: if they are no such numbers, or one has no size.
    """
    boxes = np.array(boxes, np.float64, ndmin=2) if np.size(boxes) else np.zeros((0, 4))
    if boxes.ndim != 2 or boxes.shape[1] != 4 or not np.isfinite(boxes).all():
        raise KpError(f"{name}: expected boxes of left, top, width, height, found {np.shape(boxes)}")
    if len(boxes) and boxes[:, 2:].min() <= 0:
        width, height = boxes[boxes[:, 2:].min(axis=1).argmin(), 2:]
        raise KpError(f"{name}: expected a box of positive width and height, found {width:g} × {height:g}")
    if np.abs(boxes).max(initial=0) > math.sqrt(LARGEST) * 1000:
        raise KpError(f"{name}: expected a box near the picture, found {np.abs(boxes).max():g}")
    return boxes
