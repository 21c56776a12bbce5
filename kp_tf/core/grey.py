"""The upright picture that networks see in grey. Of a large JPEG, no more is decoded than the crops need.

The decoder of JPEG gives the grey channel alone, without the colours, and at half, a quarter or an eighth of the size.
docs/architecture.md states how far points may differ because of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from kp_tf.core.budget import BUDGET
from kp_tf.core.image_files import count_pixels, open_image, orientation_tag
from kp_tf.core.images import Photograph, crop_image, decoded_file, sample_window, says_damaged
from kp_tf.core.orientation import TURNS, Orientation

REDUCTIONS = (8, 4, 2, 1)  # of the sides, that the decoder of JPEG knows
SPARE = 1.15  # pixels of the reduced picture for one of the crop, where the windows are as expected
ENOUGH = 0.9  # likewise: a window that has fewer is decoded again
SAMPLED = 1.5  # likewise: a rotated window that has no more needs no antialiasing


@dataclass(frozen=True)
class Grey:
    """A photograph's upright picture, whose crops are grey.

    Attributes:
        name: for messages.
        image: the picture, mode L, or RGB where the crops alone are turned grey.
        orientation: of the photograph in its full size.
        reduction: the side of the square of upright pixels that one pixel of the picture stands for.
        content: the bytes of the file, if the picture is reduced.
    """

    name: str
    image: Image.Image
    orientation: Orientation
    reduction: int = 1
    content: bytes = b""

    @classmethod
    def of(cls, photograph: Photograph) -> "Grey":
        """That of a photograph."""
        return cls(photograph.name, photograph.upright, photograph.orientation)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the photograph in its full size, upright."""
        return self.orientation.size

    def crop(self, window: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """Cut out a window in pixels of the full size and resize it, see `images.crop_image`."""
        if self.reduction == 1:
            return crop_image(self.image, window, shape)
        pixels = min(window[2] / shape[1], window[3] / shape[0])
        if pixels < ENOUGH * self.reduction:  # the window is smaller than was expected
            return open_grey(Path(self.name), pixels, content=self.content).crop(window, shape)
        window = np.array(window, np.float64)
        window[:2] -= self._corner()
        window[:4] /= self.reduction
        if len(window) == 5 and window[4] and pixels <= SAMPLED * self.reduction:
            return sample_window(self.image, window, shape)
        return crop_image(self.image, window, shape)

    def _corner(self) -> np.ndarray:
        """The left and top edge of the picture in upright pixels. Its last pixels as stored may reach beyond the
        photograph, and are the first ones if it is turned."""
        beyond = self.reduction * np.array(self.image.size) - self.size
        return np.where(TURNS[self.orientation.tag][1:3], -beyond, 0)


def open_grey(
    path: Path, pixels: float, admit: Callable[[int], None] | None = None, content: bytes | None = None
) -> Grey:
    """Open a file and decode its grey picture.

    Args:
        path: of the file.
        pixels: how many of them a crop's pixel will cover along each side, at least.
        admit: see `images.open_photograph`; of a reduced picture, its own pixels are counted.
        content: the bytes of the file, if they have been read already.

    Raises:
        KpError: as `images.open_photograph`.
    """
    with open_image(path, content) as image:
        if isinstance(image, JpegImageFile) and image.mode in ("L", "RGB"):
            return _decoded_jpeg(path, image, pixels / SPARE, admit, content)
    with decoded_file(path, content, admit) as photograph:
        return Grey.of(photograph)


def _decoded_jpeg(
    path: Path,
    image: JpegImageFile,
    reduction: float,
    admit: Callable[[int], None] | None,
    content: bytes | None,
) -> Grey:
    tag, whole, (width, height) = orientation_tag(image), count_pixels(image), image.size
    number = next((n for n in REDUCTIONS if n <= min(reduction, width, height)), 1)
    with says_damaged(str(path)):
        image.draft("L", (width // number, height // number))
    if admit:
        admit(count_pixels(image))
    kept = b"" if number == 1 else content or path.read_bytes()
    is_exchanged, _, _, transpose = TURNS[tag]
    with BUDGET.decoding(whole), says_damaged(str(path)):
        image.load()
        upright = image if transpose is None else image.transpose(transpose)
    orientation = Orientation((height, width) if is_exchanged else (width, height), tag)
    return Grey(str(path), upright, orientation, number, kept)
