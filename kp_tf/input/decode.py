"""Photographs to crops: read, decode, crop, resize.

Training and evaluation crop with these functions. `core.images.crop_image`, which `Predictor` uses, gives the same
within rounding.

`tf.data` decodes plain files (`core.images.is_plain`) itself, a JPEG only where the window needs it. All others, and
very large windows, go through `core.images.decoded_file`, so that every reader sees the same upright, opaque,
8-bit picture.
"""

import math
import os
import stat
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import psutil
import tensorflow as tf
from tqdm import tqdm

from kp_tf.core.boxes import box_outside
from kp_tf.core.errors import KpError, raise_problems
from kp_tf.core.geometry import MAX_EMPTINESS, enclosing_windows, misses_image
from kp_tf.core.hardware import available_cores
from kp_tf.core.image_files import MAX_BYTES
from kp_tf.core.images import (
    MAX_CROP_PIXELS,
    crop_image,
    decoded_file,
    enclosing_shape,
    is_plain,
    open_photograph,
    rotate_crop,
)
from kp_tf.data.samples import Samples
from kp_tf.input.stored import StoredCrops

AHEAD = 64  # crops that are kept ready
IN_MEMORY = 10**9  # bytes of crops; more of them go to disk
CANNOT_USE = "images cannot be used"


def load_crop(file: tf.Tensor, window: tf.Tensor, shape: tuple[int, int]) -> tf.Tensor:
    """Read one photograph and cut a window out of it, in grey.

    Args:
        file: () string, the path.
        window: (4,) int32 left, top, width, height in pixels of the upright photograph, or (5,) float64 with the angle;
            black outside it.
        shape: (H, W) to resize to, with antialiasing and half-pixel centres.

    Returns:
        (H, W, 1) uint8.

    Raises:
        tf.errors.OpError: if the file cannot be read or decoded, or the window (almost) misses the photograph. Outside
            of `tf.data`, a KpError if the file is not plain.
    """
    if window.shape[0] == 5:
        return tf.cond(
            window[4] == 0,
            lambda: load_crop(file, tf.cast(window[:4], tf.int32), shape),
            lambda: _rotated_crop(file, window, shape),
        )
    content = tf.io.read_file(file)
    plain = tf.numpy_function(lambda content: is_plain(_bytes(content)), [content], tf.bool, stateful=False)
    is_small = tf.reduce_prod(tf.cast(window[2:], tf.int64)) <= MAX_CROP_PIXELS
    crop = tf.cond(
        tf.logical_and(tf.ensure_shape(plain, ()), is_small),
        lambda: _plain_crop(content, window, shape),
        lambda: tf.numpy_function(_other_crop(shape), [file, content, window], tf.uint8, stateful=False),
    )
    return tf.ensure_shape(crop, (*shape, 1))


def _rotated_crop(file: tf.Tensor, window: tf.Tensor, shape: tuple[int, int]) -> tf.Tensor:
    def enclose(window: np.ndarray) -> np.ndarray:
        return enclosing_windows(window[None])[0]

    def rotate(crop: np.ndarray, enclosing: np.ndarray, window: np.ndarray) -> np.ndarray:
        return rotate_crop(crop[..., 0], enclosing, window, shape)[..., None]

    enclosing = tf.ensure_shape(tf.numpy_function(enclose, [window], tf.int32, stateful=False), (4,))
    crop = load_crop(file, enclosing, enclosing_shape(shape))
    crop = tf.numpy_function(rotate, [crop, enclosing, window], tf.uint8, stateful=False)
    return tf.ensure_shape(crop, (*shape, 1))


def _plain_crop(content: tf.Tensor, window: tf.Tensor, shape: tuple[int, int]) -> tf.Tensor:
    part, padding = tf.cond(
        tf.io.is_jpeg(content),
        lambda: _part_of_jpeg(content, window),
        lambda: _part_of_png(content, window),
    )
    resized = tf.image.resize(tf.pad(part, padding), shape, method="bilinear", antialias=True)
    return tf.cast(tf.round(tf.ensure_shape(resized, (*shape, 1))), tf.uint8)


def _other_crop(shape: tuple[int, int]) -> Callable[[bytes, bytes, np.ndarray], np.ndarray]:
    def crop(file: bytes | np.ndarray, content: bytes | np.ndarray, window: np.ndarray) -> np.ndarray:
        path = os.fsdecode(_bytes(file))
        with decoded_file(Path(path), _bytes(content)) as photograph:
            size = photograph.upright.size
            if misses_image(window[None], np.array([size]))[0]:
                raise box_outside(path, window, size)
            return crop_image(photograph.upright.convert("L"), window, shape)[..., None]

    return crop


def _bytes(value: bytes | np.ndarray) -> bytes:
    """A string as `tf.numpy_function` passes it: as bytes in a graph, as an array of one object otherwise."""
    return value if isinstance(value, bytes) else value.item()


def _part_of_jpeg(content: tf.Tensor, window: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    size = tf.image.extract_jpeg_shape(content)
    inside, padding = _clamp_window(window, size[0], size[1])
    # Decoding a part does not notice that the rest is missing. A complete file ends with this marker; one that does
    # not (some cameras append data) is decoded as a whole, which fails on a truncated file.
    complete = tf.strings.substr(content, -2, 2) == b"\xff\xd9"
    part = tf.cond(
        complete,
        lambda: tf.image.decode_and_crop_jpeg(content, inside, channels=1, dct_method="INTEGER_ACCURATE"),
        lambda: _cut(tf.image.decode_jpeg(content, channels=1, dct_method="INTEGER_ACCURATE"), inside),
    )
    return part, padding


def _part_of_png(content: tf.Tensor, window: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    image = tf.image.decode_png(content, channels=1)
    inside, padding = _clamp_window(window, tf.shape(image)[0], tf.shape(image)[1])
    return _cut(image, inside), padding


def _clamp_window(window: tf.Tensor, height: tf.Tensor, width: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The part (top, left, height, width) of a window inside a photograph, and the (3, 2) padding around it."""
    left, top, w, h = tf.unstack(window)
    x0, x1 = tf.clip_by_value(left, 0, width), tf.clip_by_value(left + w, 0, width)
    y0, y1 = tf.clip_by_value(top, 0, height), tf.clip_by_value(top + h, 0, height)
    # 64 bits: the area of a hostile box overflows 32
    area, inside = tf.cast(w, tf.int64) * tf.cast(h, tf.int64), tf.cast((x1 - x0) * (y1 - y0), tf.int64)
    tf.debugging.assert_less_equal(area, MAX_EMPTINESS * inside, "the window misses the photograph")
    padding = [[y0 - top, top + h - y1], [x0 - left, left + w - x1], [0, 0]]
    return tf.stack([y0, x0, y1 - y0, x1 - x0]), tf.convert_to_tensor(padding)


def _cut(image: tf.Tensor, inside: tf.Tensor) -> tf.Tensor:
    top, left, height, width = tf.unstack(inside)
    return image[top : top + height, left : left + width]


def stream_crops(
    samples: Samples, windows: np.ndarray, shape: tuple[int, int], bad: dict[int, str] | None = None
) -> Iterator[np.ndarray]:
    """Yield the crop of every face in order, decoded ahead on all cores, with a progress bar.

    Args:
        samples: N faces.
        windows: (N, 4) int32 or (N, 5) float64 windows in pixels of the upright photographs, see `load_crop`.
        shape: (H, W) of the crops.
        bad: if passed, images that cannot be used are left out and their problems stored here by index.

    Yields:
        (H, W, 1) uint8.

    Raises:
        KpError: without `bad`, naming the images that cannot be used, once all have been checked.
    """
    paths = [str(samples.root / file) for file in samples.files]
    known = {path: _can_be_read(path) for path in dict.fromkeys(paths)}
    files = np.array([os.fsencode(path) if known[path] else b"" for path in paths], object)
    faces = tf.data.Dataset.from_tensor_slices((tf.constant(files, tf.string), windows))
    crops = prepared_ahead(faces, _loader(shape), AHEAD)
    problems, iterator = {} if bad is None else bad, iter(crops)
    for index in tqdm(range(len(samples)), desc="decoding", unit=" images", leave=False, disable=None):
        try:
            crop = next(iterator).numpy()
        except tf.errors.OpError:
            problems[index] = f"{samples.entries[index]}: {_what_is_wrong(Path(paths[index]), windows[index])}"
            continue
        if bad is not None or not problems:
            yield crop
    if bad is None:
        raise_problems(list(problems.values()), CANNOT_USE)


@cache
def _loader(shape: tuple[int, int]) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """`load_crop` as a graph that is traced once for a shape, and not again by every `tf.data.Dataset.map`."""
    return tf.function(lambda file, window: load_crop(file, window, shape), autograph=False)


def _can_be_read(path: str) -> bool:
    """Whether TensorFlow may read a file at once: reading a pipe might never end, or fill the memory."""
    try:
        status = os.stat(path)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size <= MAX_BYTES


def _what_is_wrong(path: Path, window: np.ndarray) -> str:
    """The reason why an image could not be cropped."""
    try:
        size = open_photograph(path).upright.size
    except KpError as error:
        return str(error)
    if misses_image(window[None], np.array([size]))[0]:
        return str(box_outside(str(path), window, size))
    return f"cannot read {path}: TensorFlow cannot decode it"


def decode_crops(
    samples: Samples, windows: np.ndarray, shape: tuple[int, int], bad: dict[int, str] | None = None
) -> np.ndarray | StoredCrops:
    """Decode every image once; arguments as of `stream_crops`.

    Returns:
        (N, H, W, 1) uint8 without the bad ones: in memory, or on disk if they have more than `IN_MEMORY` bytes or
        than half of the free memory.

    Raises:
        KpError: as `stream_crops`, or if the disk has no room.
    """
    size = (len(samples), *shape, 1)
    fits = math.prod(size) <= min(IN_MEMORY, psutil.virtual_memory().available // 2)
    crops = np.empty(size, np.uint8) if fits else StoredCrops(size)
    for index, crop in enumerate(stream_crops(samples, windows, shape, bad)):
        crops[index] = crop
    kept = len(samples) - len(bad or ())
    if isinstance(crops, np.ndarray):
        return crops[:kept]
    crops.keep(kept)
    return crops


def prepared_ahead(source: tf.data.Dataset, prepare: Callable, count: int = 2) -> tf.data.Dataset:
    """Map on all cores and keep `count` results ready.

    Autotuning is off: its thread sleeps ever longer, and `fit` does not return until it wakes. So is AutoGraph, which
    would rewrite `prepare` for every data set: its branches are `tf.cond`.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    prepare = tf.autograph.experimental.do_not_convert(prepare)
    return source.map(prepare, num_parallel_calls=available_cores()).prefetch(count).with_options(options)
