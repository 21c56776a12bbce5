"""Decoded pictures that are too many for the memory: in a temporary file, read by index."""

import math
import os
import tempfile
import weakref
from typing import BinaryIO

import numpy as np

from kp_tf.core.errors import KpError


class StoredCrops:
    """N crops (H, W, 1) uint8 in a file without a name, whose space is freed with this object.

    The file is mapped for each reading alone: the pages of a file that stays mapped count as memory of the process
    until the system needs them for something else.

    Attributes:
        shape: (N, H, W, 1).
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        """Reserve the space at once: a disk that fills up later would kill the process that reads.

        Raises:
            KpError: if the disk has no room.
        """
        self.shape = shape
        self._file = _new_file(math.prod(shape))
        weakref.finalize(self, self._file.close)

    def __len__(self) -> int:
        return self.shape[0]

    def __setitem__(self, index: int, crop: np.ndarray) -> None:
        """Write one crop (H, W, 1)."""
        self._file.seek(index * math.prod(self.shape[1:]))
        self._file.write(crop.tobytes())

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        """Read crops (n, H, W, 1)."""
        self._file.flush()
        return np.array(np.memmap(self._file, np.uint8, "r", shape=self.shape)[rows])

    def keep(self, count: int) -> None:
        """Forget all but the first crops."""
        self.shape = (count, *self.shape[1:])


def _new_file(size: int) -> BinaryIO:
    file = None
    try:
        file = tempfile.TemporaryFile()  # noqa: SIM115 it outlives this function
        if hasattr(os, "posix_fallocate"):  # neither macOS nor Windows
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
        return file
    except OSError as error:
        if file:
            file.close()
        raise KpError(
            f"cannot keep {size / 1e9:.3g} GB of decoded pictures in {tempfile.gettempdir()} ({error.strerror}), and "
            "they are too many for the memory. Set TMPDIR to a larger disk"
        ) from None
