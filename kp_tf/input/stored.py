"""Decoded pictures that are too many for the memory, or of which another machine keeps the rest."""

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


class PartOfCrops:
    """Those of N crops that this machine keeps, read by their index among all N.

    Attributes:
        shape: (N, H, W, 1) of all.
    """

    def __init__(self, kept: np.ndarray | StoredCrops, places: np.ndarray) -> None:
        """`places` (N,) says where each crop is among those kept; -1 where another machine keeps it."""
        self.shape = (len(places), *kept.shape[1:])
        self._kept, self._places = kept, places

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        """Read crops (n, H, W, 1).

        Raises:
            LookupError: if another machine keeps one of them.
        """
        places = self._places[rows]
        if (places < 0).any():
            raise LookupError("another machine keeps these crops")
        return self._kept[places]


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
