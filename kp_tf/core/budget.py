"""How much of what photographs decode to may be in memory at once."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kp_tf.core.errors import KpError

VARIABLE = "KP_TF_MAX_PIXELS"
# Cameras with medium format sensors and phones of 108 megapixels stay below it. Pillow keeps four bytes for each pixel
# and decoders up to as many again, so that a photograph takes no more than about 1 GB.
DEFAULT_MAX_PIXELS = 120_000_000


def max_pixels() -> int:
    """The most pixels that a photograph may have, and the most that are decoded at once: $KP_TF_MAX_PIXELS.

    Raises:
        KpError: if the variable is set to anything but a positive whole number.
    """
    text = os.environ.get(VARIABLE) or str(DEFAULT_MAX_PIXELS)
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number <= 0:
        raise KpError(f"${VARIABLE} must be a number of pixels, such as {DEFAULT_MAX_PIXELS}, found {text!r}")
    return number


class Budget:
    """The pixels that are being decoded and those decoded ahead of their turn, each at most `max_pixels()`."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._decoding = self._ahead = 0

    @contextmanager
    def decoding(self, pixels: int) -> Iterator[None]:
        """Decode so many pixels in the block, once the decoding in other threads has left room for them.

        The block must not wait for another thread. A picture of more than `max_pixels()` is decoded alone.
        """
        most = max_pixels()
        with self._changed:
            self._changed.wait_for(lambda: not self._decoding or self._decoding + pixels <= most)
            self._decoding += pixels
        try:
            yield
        finally:
            with self._changed:
                self._decoding -= pixels
                self._changed.notify_all()

    def keep_ahead(self, pixels: int, is_wanted: Callable[[], bool], is_next: Callable[[], bool]) -> None:
        """Wait until so many pixels may be decoded ahead, in their order, or until they are wanted now.

        Args:
            pixels: to be released later.
            is_wanted: whether someone waits for them; when this changes, `wake` has to be called.
            is_next: whether all that come before them have been admitted; likewise.
        """
        most = max_pixels()
        with self._changed:
            self._changed.wait_for(lambda: is_wanted() or (is_next() and self._ahead + pixels <= most))
            self._ahead += pixels

    def release(self, pixels: int) -> None:
        """Forget pixels that were kept ahead."""
        with self._changed:
            self._ahead -= pixels
            self._changed.notify_all()

    def wake(self) -> None:
        """Say that something is wanted now, or is the next."""
        with self._changed:
            self._changed.notify_all()


BUDGET = Budget()  # of the process
