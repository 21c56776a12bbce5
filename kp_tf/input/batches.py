"""Decoded crops to batches: shuffle, augment, scale.

The order of an epoch and the random numbers of its augmentation follow from (seed, epoch, index) alone, so they do not
depend on the batch size, the machine or where a training was resumed.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from kp_tf.input.augment import NUM_DRAWS, NUM_LATER
from kp_tf.input.decode import prepared_ahead
from kp_tf.input.stored import PartOfCrops, StoredCrops

Crops = np.ndarray | StoredCrops | PartOfCrops
Transform = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
Divide = Callable[[tf.Tensor, int], tf.data.Dataset]

NO_END = np.iinfo(np.int64).max


def in_batches(order: tf.Tensor, size: int) -> tf.data.Dataset:
    """Indices (N,) in batches of this size; the last one may be smaller."""
    # shuffled before batched: a batch must not reach into the next epoch
    return tf.data.Dataset.from_tensor_slices(order).batch(size)


def scale_pixels(images: tf.Tensor) -> tf.Tensor:
    """Pixels of any integer or float type in [0, 255] to float32 in [-0.5, 0.5]."""
    return tf.cast(images, tf.float32) / 255.0 - 0.5


def draw(count: int, key: tf.Tensor) -> tf.Tensor:
    """Uniform random numbers (count, NUM_DRAWS) that follow from a key (2,) alone."""
    first = tf.random.stateless_uniform((count, NUM_DRAWS - NUM_LATER), key)
    later = tf.random.stateless_uniform((count, NUM_LATER), key + (0, 2**32))  # of no other epoch
    return tf.concat([first, later], axis=1)


def training_batches(
    crops: Crops,
    points_norm: np.ndarray,
    batch_size: int,
    seed: int,
    transform: Transform,
    first_epoch: int | tf.Tensor = 0,
    until: int | tf.Tensor = NO_END,
    divide: Divide = in_batches,
) -> tf.data.Dataset:
    """Shuffled and augmented batches, epoch after epoch.

    Args:
        crops: (N, H, W, 1) uint8.
        points_norm: (N, K, 2) points in the unit square of the crops.
        batch_size: the last batch of an epoch may be smaller.
        seed: determines order and augmentation, together with the epoch.
        transform: images (B, H, W, 1) float32 in [0, 255], points (B, K, 2) and random numbers (B, NUM_DRAWS) in
            [0, 1) to images and points.
        first_epoch: the epoch to begin with.
        until: the epoch to end before.
        divide: from the order of an epoch, indices (N,), and the batch size to the batches of indices that are loaded.

    Returns:
        Elements (B, H', W', 1) float32 in [-0.5, 0.5] and (B, K, 2) float32.
    """
    count = len(crops)

    @tf.autograph.experimental.do_not_convert  # see `prepared_ahead`
    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        key = tf.stack([tf.constant(seed, tf.int64), number])
        shuffle = tf.random.experimental.stateless_shuffle  # pyright: ignore[reportAttributeAccessIssue]
        order = shuffle(tf.range(count), key)
        draws = draw(count, key)  # one row for each picture, whatever its place in the order
        return divide(order, batch_size).map(lambda index: (index, tf.gather(draws, index)))

    def prepare(index: tf.Tensor, draws: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, points = _gather(crops, points_norm, index)
        images, points = transform(tf.cast(images, tf.float32), points, draws)
        return scale_pixels(images), points

    return prepared_ahead(tf.data.Dataset.range(first_epoch, until).flat_map(epoch), prepare)


def epoch_by_epoch(batches_of: Callable[[tf.Tensor], tf.data.Dataset], steps: int) -> tf.data.Dataset:
    """A data set that is the next epoch, counted from 0, each time it is iterated over, as `fit` does.

    Args:
        batches_of: the batches of an epoch, by its number.
        steps: how many they are.
    """
    number = tf.Variable(tf.constant(-1, tf.int64), trainable=False)

    @tf.autograph.experimental.do_not_convert  # see `prepared_ahead`
    def following(_: tf.Tensor) -> tf.data.Dataset:
        return batches_of(number.assign_add(1))

    epoch = tf.data.Dataset.from_tensors(0).flat_map(following)
    options = tf.data.Options()
    options.autotune.enabled = False  # see `prepared_ahead`
    return epoch.apply(tf.data.experimental.assert_cardinality(steps)).with_options(options)


def fixed_batches(
    crops: Crops, points_norm: np.ndarray, batch_size: int, divide: Divide = in_batches
) -> tf.data.Dataset:
    """The same batches once, in order and without augmentation; arguments as of `training_batches`."""

    def prepare(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, points = _gather(crops, points_norm, index)
        return scale_pixels(images), points

    return prepared_ahead(divide(tf.range(len(crops)), batch_size), prepare)


def _gather(crops: Crops, points_norm: np.ndarray, index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Rows of arrays that stay outside the graph, which would copy them."""

    def read(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return crops[rows], points_norm[rows].astype(np.float32)

    images, points = tf.numpy_function(read, [index], [tf.uint8, tf.float32], stateful=False)
    images.set_shape((None, *crops.shape[1:]))
    points.set_shape((None, *points_norm.shape[1:]))
    return images, points
