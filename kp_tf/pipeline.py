"""Records to `tf.data` batches: read, decode, crop, resize, scale, keep, shuffle, augment, batch, prefetch.

Training and prediction crop with the same function, `load_crop`. Crops are decoded once, by Pillow in a thread for
each core (at half the work of TensorFlow's decoder and resize), and kept as uint8; the order of an epoch and the
random numbers of its augmentation are drawn from (seed, epoch), so they do not depend on the batch size, the
machine or where a training was taken up again.
"""

import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import psutil
import tensorflow as tf
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from kp_tf.errors import raise_all
from kp_tf.readers.records import Records

EMPTIEST = 50  # a window may be this many times the part of it that lies inside the photograph
# a JPEG is decoded at a part of its size where the window stays this many times as large as the crop; the NME of
# `compact` and `large` on 264 faces of 300-W is then 0.0006 points higher (of 3.85 and 3.67 %)
ENOUGH = 1.0
AHEAD = 256  # crops that wait to be taken


class WindowError(ValueError):
    """A window that misses its photograph."""


def load_crop(path: str | Path, window: Sequence[int], shape: tuple[int, int]) -> np.ndarray:
    """Read one photograph and cut a window out of it, as grey.

    A JPEG is decoded at 1/2, 1/4 or 1/8 of its size where the window stays ENOUGH times as large as the crop.

    Args:
        path: of a JPEG or PNG.
        window: left, top, width, height in pixels; black where it leaves the photograph.
        shape: (H, W) to resize to, with antialiasing and half-pixel centres.

    Returns:
        (H, W, 1) uint8.

    Raises:
        OSError, SyntaxError, ValueError, Image.DecompressionBombError: if the file cannot be read or decoded.
        WindowError: if the window (nearly) misses the photograph.
    """
    left, top, w, h = (int(value) for value in window)
    with Image.open(path, formats=("JPEG", "PNG")) as image:
        width, height = image.size
        inside = max(0, min(width, left + w) - max(0, left)) * max(0, min(height, top + h) - max(0, top))
        if not inside or w * h > EMPTIEST * inside:
            where = "almost all outside" if inside else "outside"
            raise WindowError(f"({width} × {height}), found one {where}: {left}, {top}, {w} × {h}")
        drafted = image.draft("L", (ENOUGH * shape[1] * width / w, ENOUGH * shape[0] * height / h))
        scale = width / drafted[1][2] if drafted else 1
        edges = np.array([left, top, left + w, top + h]) / scale
        start, end = np.floor(edges[:2]).astype(int), np.ceil(edges[2:]).astype(int)
        part = _grey(image).crop((*start, *end))
        crop = part.resize(shape[::-1], Image.Resampling.BILINEAR, tuple(edges - np.tile(start, 2)))
    return np.asarray(crop)[..., None]


def _grey(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):  # Pillow would clip instead of scaling
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image.convert("L")


def scale_pixels(images: tf.Tensor) -> tf.Tensor:
    """Pixels of any integer or float type in [0, 255] to float32 in [-0.5, 0.5]."""
    return tf.cast(images, tf.float32) / 255.0 - 0.5


def stream_crops(records: Records, windows: np.ndarray, shape: tuple[int, int]) -> Iterator[np.ndarray]:
    """Yield the (H, W, 1) uint8 crop of every record in order, decoded ahead on all cores, with progress.

    After a bad image nothing more is yielded, but all others are checked before the error is raised.

    Raises:
        KpError: names the images that are missing, empty, truncated or none (up to twenty, and the count).
    """
    problems, waiting, indices = [], deque(), iter(range(len(records)))
    # Pillow lets go of the interpreter while it decodes and resizes
    threads = ThreadPoolExecutor(os.cpu_count())
    try:
        for index in tqdm(range(len(records)), desc="decoding", unit=" images", leave=False, disable=None):
            for ahead in islice(indices, AHEAD - len(waiting)):
                path = records.root / records.files[ahead]
                waiting.append(threads.submit(_crop_or_problem, path, windows[ahead], shape))
            crop = waiting.popleft().result()
            if isinstance(crop, str):
                problems.append(f"{records.entries[index]}: {crop}")
            elif not problems:
                yield crop
    finally:
        threads.shutdown(cancel_futures=True)
    raise_all(problems, "images that cannot be used")


def _crop_or_problem(path: Path, window: np.ndarray, shape: tuple[int, int]) -> np.ndarray | str:
    """The crop, or what was expected and found."""
    expected = f"expected the JPEG or PNG image {path}, found"
    try:
        return load_crop(path, window, shape)
    except FileNotFoundError:
        return f"{expected} no such file"
    except WindowError as error:
        return f"expected a box in {path} {error}"
    except UnidentifiedImageError:
        return f"{expected} " + ("a file that is no image" if path.stat().st_size else "an empty file")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return f"{expected} a damaged one: {error}"


def decode(records: Records, windows: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Decode every image once: (N, H, W, 1) uint8, in memory, or on disk where half the free memory is too little.

    Raises:
        KpError: as `stream_crops`.
    """
    size = (len(records), *shape, 1)
    if np.prod(size, dtype=np.int64) <= psutil.virtual_memory().available // 2:
        crops = np.empty(size, np.uint8)
    else:
        with tempfile.TemporaryFile() as file:  # has no name: its space is freed with the array
            crops = np.memmap(file, np.uint8, "w+", shape=size)
    for index, crop in enumerate(stream_crops(records, windows, shape)):
        crops[index] = crop
    return crops


Transform = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


def training_batches(
    crops: np.ndarray,
    units: np.ndarray,
    batch_size: int,
    seed: int,
    transform: Transform,
    draws: int,
    first_epoch: int = 0,
) -> tf.data.Dataset:
    """Batches of images and points without end; an epoch is ceil(N / batch_size) of them.

    Args:
        crops: (N, H, W, 1) uint8.
        units: (N, K, 2) points in the unit square of the crops.
        batch_size: the last batch of an epoch may be smaller.
        seed: order and augmentation of epoch e follow from (seed, e) alone.
        transform: images (B, H, W, 1) float32 in [0, 255], points (B, K, 2) and random numbers (B, D) in [0, 1)
            to images and points.
        draws: D.
        first_epoch: where to take up.

    Returns:
        Elements (B, H', W', 1) float32 in [-0.5, 0.5] and (B, K, 2) float32.
    """
    count = len(crops)

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        key = tf.stack([tf.constant(seed, tf.int64), number])
        order = tf.random.experimental.stateless_shuffle(tf.range(count), key)
        # one row for each picture, so that its numbers do not depend on the place it is drawn at
        numbers = tf.gather(tf.random.stateless_uniform((count, draws), key), order)
        # shuffled before batched, because a batch must not cross into the next epoch
        return tf.data.Dataset.from_tensor_slices((order, numbers)).batch(batch_size)

    def prepare(index: tf.Tensor, numbers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, points = _gather(crops, units, index)
        images, points = transform(tf.cast(images, tf.float32), points, numbers)
        return scale_pixels(images), points

    epochs = tf.data.Dataset.range(first_epoch, np.iinfo(np.int64).max).flat_map(epoch)
    return epochs.map(prepare, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def fixed_batches(crops: np.ndarray, units: np.ndarray, batch_size: int) -> tf.data.Dataset:
    """The same batches once, in order and without augmentation."""

    def prepare(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, points = _gather(crops, units, index)
        return scale_pixels(images), points

    index = tf.data.Dataset.range(len(crops), output_type=tf.int32).batch(batch_size)
    return index.map(prepare, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def _gather(crops: np.ndarray, units: np.ndarray, index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Rows of arrays that stay outside the graph, so that crops kept on disk are read where they lie."""
    images = tf.numpy_function(lambda rows: crops[rows], [index], tf.uint8, stateful=False)
    images.set_shape((None, *crops.shape[1:]))
    return images, tf.gather(tf.constant(units, tf.float32), index)
