"""Records to `tf.data` batches: read, decode, crop, resize, scale, keep, shuffle, augment, batch, prefetch.

Training and prediction crop with the same function, `load_crop`. Crops are decoded once and kept as uint8;
the order of an epoch and the random numbers of its augmentation are drawn from (seed, epoch), so they do not
depend on the batch size, the machine or where a training was taken up again.
"""

import math
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import tensorflow as tf
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from kp_tf.backends.engines import cores
from kp_tf.core.errors import KpError, raise_all
from kp_tf.core.geometry import EMPTIEST
from kp_tf.core.images import LARGEST
from kp_tf.data.samples import Records

BATCH = 64  # crops through a network at once, where none is trained


def load_crop(file: tf.Tensor, window: tf.Tensor, shape: tuple[int, int]) -> tf.Tensor:
    """Read one photograph and cut a window out of it, as grey.

    Args:
        file: () string, the path of a JPEG or PNG.
        window: (4,) int32 left, top, width, height in pixels; black where it leaves the photograph.
        shape: (H, W) to resize to, with antialiasing and half-pixel centres.

    Returns:
        (H, W, 1) uint8.

    Raises:
        tf.errors.OpError: if the file cannot be read or decoded, or the window (nearly) misses the photograph.
    """
    contents = _checked(tf.io.read_file(file))
    part, padding = tf.cond(
        tf.io.is_jpeg(contents),
        lambda: _part_of_jpeg(contents, window),
        lambda: _part_of_png(contents, window),
    )
    crop = tf.pad(part, padding)
    resized = tf.image.resize(crop, shape, method="bilinear", antialias=True)
    resized.set_shape((*shape, 1))
    return tf.cast(tf.round(resized), tf.uint8)


def _checked(contents: tf.Tensor) -> tf.Tensor:
    """The contents of a JPEG or PNG, after its header is known to claim no more pixels than Pillow would decode."""
    is_jpeg = tf.io.is_jpeg(contents)
    head = tf.strings.substr(contents, 0, 24) + 24 * b"\0"  # the file may be shorter
    size = tf.cond(
        is_jpeg,
        lambda: tf.image.extract_jpeg_shape(contents)[:2],
        lambda: tf.io.decode_raw(tf.strings.substr(head, 16, 8), tf.int32, little_endian=False),
    )
    height, width = tf.unstack(tf.cast(tf.ensure_shape(size, (2,)), tf.int64))
    is_png = tf.strings.substr(head, 0, 8) == b"\x89PNG\r\n\x1a\n"
    checks = [
        tf.debugging.assert_equal(tf.logical_or(is_jpeg, is_png), True, "neither JPEG nor PNG"),
        tf.debugging.assert_positive(tf.minimum(height, width), "no pixels"),
        tf.debugging.assert_less_equal(height * width, tf.constant(LARGEST, tf.int64), "too many pixels"),
    ]
    with tf.control_dependencies(checks):
        return tf.identity(contents)


def scale_pixels(images: tf.Tensor) -> tf.Tensor:
    """Pixels of any integer or float type in [0, 255] to float32 in [-0.5, 0.5]."""
    return tf.cast(images, tf.float32) / 255.0 - 0.5


def clamp_window(window: tf.Tensor, height: tf.Tensor, width: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The part (top, left, height, width) of a window inside a photograph, and the (3, 2) padding around it."""
    left, top, w, h = tf.unstack(window)
    x0, x1 = tf.clip_by_value(left, 0, width), tf.clip_by_value(left + w, 0, width)
    y0, y1 = tf.clip_by_value(top, 0, height), tf.clip_by_value(top + h, 0, height)
    # 64 bit: the area of a hostile box overflows 32
    area, inside = tf.cast(w, tf.int64) * tf.cast(h, tf.int64), tf.cast((x1 - x0) * (y1 - y0), tf.int64)
    tf.debugging.assert_less_equal(area, EMPTIEST * inside, "the window misses the photograph")
    padding = [[y0 - top, top + h - y1], [x0 - left, left + w - x1], [0, 0]]
    return tf.stack([y0, x0, y1 - y0, x1 - x0]), tf.convert_to_tensor(padding)


def _part_of_jpeg(contents: tf.Tensor, window: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    size = tf.image.extract_jpeg_shape(contents)
    inside, padding = clamp_window(window, size[0], size[1])
    # A partial decode does not notice that the rest is missing. A whole file ends with this marker; one that
    # does not (some cameras append data) is decoded in full, which fails on a truncated file.
    whole = tf.strings.substr(contents, -2, 2) == b"\xff\xd9"
    part = tf.cond(
        whole,
        lambda: tf.image.decode_and_crop_jpeg(contents, inside, channels=1, dct_method="INTEGER_ACCURATE"),
        lambda: _cut(tf.image.decode_jpeg(contents, channels=1, dct_method="INTEGER_ACCURATE"), inside),
    )
    return part, padding


def _part_of_png(contents: tf.Tensor, window: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    image = tf.image.decode_png(contents, channels=1)
    inside, padding = clamp_window(window, tf.shape(image)[0], tf.shape(image)[1])
    return _cut(image, inside), padding


def _cut(image: tf.Tensor, inside: tf.Tensor) -> tf.Tensor:
    top, left, height, width = tf.unstack(inside)
    return image[top : top + height, left : left + width]


def stream_crops(
    records: Records, windows: np.ndarray, shape: tuple[int, int], bad: dict[int, str] | None = None
) -> Iterator[np.ndarray]:
    """Yield the (H, W, 1) uint8 crop of every record in order, decoded ahead on all cores, with progress.

    After a bad image nothing more is yielded, but all others are checked before the error is raised. With `bad`
    none is raised: bad images are left out and named there by their index.

    Raises:
        KpError: names the images that are missing, empty, truncated or none (up to twenty, and the count).
    """
    paths = [str(records.root / file) for file in records.files]
    faces = tf.data.Dataset.from_tensor_slices((paths, windows))
    crops = _ahead(faces, lambda file, window: load_crop(file, window, shape), BATCH)
    problems, iterator = {} if bad is None else bad, iter(crops)
    for index in tqdm(range(len(records)), desc="decoding", unit=" images", leave=False, disable=None):
        try:
            crop = next(iterator).numpy()
        except tf.errors.OpError:
            problems[index] = f"{records.entries[index]}: {_what_is_wrong(Path(paths[index]), windows[index])}"
            continue
        if bad is not None or not problems:
            yield crop
    if bad is None:
        raise_all(list(problems.values()), "images that cannot be used")


def _what_is_wrong(path: Path, window: np.ndarray) -> str:
    """Expected and found, for an image that did not decode."""
    expected = f"expected the JPEG or PNG image {path}, found"
    if not path.is_file():
        return f"{expected} no such file"
    if not path.stat().st_size:
        return f"{expected} an empty file"
    try:
        with Image.open(path) as image:
            width, height = image.size
            image.load()
    except UnidentifiedImageError:
        return f"{expected} a file that is no image"
    except Image.DecompressionBombError as error:
        return f"{expected} one that is too large: {error}"
    except (OSError, SyntaxError, ValueError) as error:
        return f"{expected} a damaged one: {error}"
    left, top, w, h = (int(value) for value in window)
    if min(width, left + w) - max(0, left) <= 0 or min(height, top + h) - max(0, top) <= 0:
        outside = "outside"
    elif w * h > width * height:
        outside = "almost all outside"
    else:
        return f"{expected} a kind of {image.format} that cannot be decoded ({image.mode})"
    return f"expected a box in {path} ({width} × {height}), found one {outside}: {left}, {top}, {w} × {h}"


def decode(
    records: Records, windows: np.ndarray, shape: tuple[int, int], bad: dict[int, str] | None = None
) -> np.ndarray:
    """Decode every image once: (N, H, W, 1) uint8, in memory, or on disk where half the free memory is too little.

    With `bad` the images that cannot be used are left out and named there, see `stream_crops`.

    Raises:
        KpError: as `stream_crops`; or if the disk has no room.
    """
    size = (len(records), *shape, 1)
    in_memory = math.prod(size) <= psutil.virtual_memory().available // 2
    crops = np.empty(size, np.uint8) if in_memory else _on_disk(size)
    for index, crop in enumerate(stream_crops(records, windows, shape, bad)):
        crops[index] = crop
    return crops[: len(records) - len(bad or ())]


def _on_disk(size: tuple[int, ...]) -> np.memmap:
    """Bytes in a temporary file, whose space is taken now: a disk that is full later would kill the process."""
    try:
        with tempfile.TemporaryFile() as file:  # has no name: its space is freed with the array
            if hasattr(os, "posix_fallocate"):  # neither macOS nor Windows
                os.posix_fallocate(file.fileno(), 0, math.prod(size))
            return np.memmap(file, np.uint8, "r+", shape=size)
    except OSError as error:
        raise KpError(
            f"{tempfile.gettempdir()}: expected {math.prod(size) / 1e9:.3g} GB of disk for the pictures, which "
            f"half the free memory cannot hold, found: {error.strerror}. TMPDIR names another folder"
        ) from None


Transform = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


def training_batches(
    crops: np.ndarray,
    units: np.ndarray,
    batch_size: int,
    seed: int,
    transform: Transform,
    draws: int,
    first_epoch: int = 0,
    until: int = np.iinfo(np.int64).max,
    parts: int = 1,
    mine: range | None = None,
) -> tf.data.Dataset:
    """Batches of images and points; an epoch is ceil(N / batch_size) of them, N a multiple of `parts`.

    Args:
        crops: (N, H, W, 1) uint8.
        units: (N, K, 2) points in the unit square of the crops.
        batch_size: the last batch of an epoch may be smaller.
        seed: order and augmentation of epoch e follow from (seed, e) alone.
        transform: images (B, H, W, 1) float32 in [0, 255], points (B, K, 2) and random numbers (B, D) in [0, 1)
            to images and points.
        draws: D.
        first_epoch: where to take up; `until`: the epoch before which to end.
        parts: so many devices share a batch equally; up to parts - 1 pictures, others each epoch, are left out.
        mine: instead of each batch these of its parts, one after the other; only they are augmented.

    Returns:
        Elements (B, H', W', 1) float32 in [-0.5, 0.5] and (B, K, 2) float32.
    """
    count = len(crops)

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        key = tf.stack([tf.constant(seed, tf.int64), number])
        order = tf.random.experimental.stateless_shuffle(tf.range(count), key)
        # one row for each picture, so that its numbers do not depend on the place it is drawn at
        numbers = tf.gather(tf.random.stateless_uniform((count, draws), key), order)
        order, numbers = order[: count - count % parts], numbers[: count - count % parts]
        # shuffled before batched, because a batch must not cross into the next epoch
        batches = tf.data.Dataset.from_tensor_slices((order, numbers)).batch(batch_size)
        return batches if mine is None else batches.flat_map(lambda *batch: _parts_of(batch, parts, mine))

    def prepare(index: tf.Tensor, numbers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, points = _gather(crops, units, index)
        images, points = transform(tf.cast(images, tf.float32), points, numbers)
        return scale_pixels(images), points

    epochs = tf.data.Dataset.range(first_epoch, until).flat_map(epoch)
    return _ahead(epochs, prepare)


def fixed_batches(
    crops: np.ndarray, units: np.ndarray, batch_size: int, parts: int = 1, mine: range | None = None
) -> tf.data.Dataset:
    """The same batches once, in order and without augmentation; `parts` and `mine` as of `training_batches`."""

    def prepare(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, points = _gather(crops, units, index)
        return scale_pixels(images), points

    index = tf.data.Dataset.range(len(crops) - len(crops) % parts, output_type=tf.int32).batch(batch_size)
    if mine is not None:
        index = index.flat_map(lambda *batch: _parts_of(batch, parts, mine))
    return _ahead(index, prepare)


def _ahead(source: tf.data.Dataset, prepare: Callable, count: int = 2) -> tf.data.Dataset:
    """Prepared on all cores, so many kept ready.

    Nothing is tuned: the thread that does it wakes ever less often, and `fit` does not end before.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return source.map(prepare, num_parallel_calls=cores()).prefetch(count).with_options(options)


def _parts_of(batch: tuple[tf.Tensor, ...], parts: int, mine: range) -> tf.data.Dataset:
    """Some of a batch's equal parts as elements of their own."""
    divided = tuple(tf.reshape(rows, (parts, -1, *rows.shape[1:]))[mine.start : mine.stop] for rows in batch)
    return tf.data.Dataset.from_tensor_slices(divided)


def _gather(crops: np.ndarray, units: np.ndarray, index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Rows of arrays that stay outside the graph, so that crops kept on disk are read where they lie."""
    images = tf.numpy_function(lambda rows: crops[rows], [index], tf.uint8, stateful=False)
    images.set_shape((None, *crops.shape[1:]))
    return images, tf.gather(tf.constant(units, tf.float32), index)
