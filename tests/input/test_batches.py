import gc

import numpy as np
import pytest
import tensorflow as tf

from kp_tf.input.batches import draw, epoch_by_epoch, fixed_batches, in_batches, scale_pixels, training_batches


def test_scale_pixels_eagerly_and_in_tf_data():
    images = tf.constant([[0, 51], [204, 255]], tf.uint8)
    expected = [[-0.5, -0.3], [0.3, 0.5]]
    np.testing.assert_allclose(scale_pixels(images), expected, atol=1e-7)
    np.testing.assert_allclose(next(iter(tf.data.Dataset.from_tensors(images).map(scale_pixels))), expected, atol=1e-7)


CROPS = np.arange(10, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 6, 1), np.uint8)
POINTS = np.arange(10, dtype=np.float32)[:, None, None] * np.ones((1, 3, 2), np.float32)


def with_draws(images, points, draws):
    """A transform that hands the random numbers on as further points."""
    return images, tf.concat([points, draws[:, :, None] * [1.0, 0.0]], axis=1)


def batches(batch_size, seed=0, first_epoch=0, steps=6):
    """Pictures and random numbers of a few batches."""
    seen = []
    for images, points in training_batches(CROPS, POINTS, batch_size, seed, with_draws, first_epoch).take(steps):
        np.testing.assert_allclose((images[:, 0, 0, 0] + 0.5) * 255, points[:, 0, 0], atol=1e-4)  # still pairs
        seen.append((points[:, 0, 0].numpy().astype(int).tolist(), points[:, 3:, 0].numpy()))
    return seen


def test_training_batches_each_epoch_has_every_picture_once():
    sizes_and_members = [[member for member, _ in batches(4)[k : k + 3]] for k in (0, 3)]
    for epoch in sizes_and_members:
        assert [len(batch) for batch in epoch] == [4, 4, 2]
        assert sorted(member for batch in epoch for member in batch) == list(range(10))
    assert sizes_and_members[0] != sizes_and_members[1], "another order in another epoch"


def test_training_batches_follow_the_seed_and_the_epoch_alone():
    orders = [[member for member, _ in batches(4, seed)] for seed in (5, 5, 6)]
    assert orders[0] == orders[1] != orders[2]
    assert [member for member, _ in batches(4, 5, first_epoch=1, steps=3)] == orders[0][3:]


def test_draws_begin_with_those_of_before_there_were_more():
    key = tf.constant([7, 3], tf.int64)
    before = tf.random.stateless_uniform((10, 37), key).numpy()
    np.testing.assert_array_equal(draw(10, key)[:, :37], before)
    later = draw(10, key)[:, 37:].numpy()
    assert later.shape == (10, 5)
    assert not np.isin(later, draw(10, tf.constant([7, 4], tf.int64))).any()


@pytest.mark.parametrize("batch_size", [4, 10])
def test_training_batches_draws_belong_to_the_picture_whatever_the_batch(batch_size):
    table = draw(len(CROPS), tf.constant([7, 0], tf.int64)).numpy()
    for members, draws in batches(batch_size, seed=7, steps=-(-10 // batch_size)):
        np.testing.assert_array_equal(draws, table[members])


def test_fixed_batches_in_order():
    seen = list(fixed_batches(CROPS, POINTS, 4))
    assert [len(images) for images, _ in seen] == [4, 4, 2]
    np.testing.assert_array_equal(np.concatenate([points for _, points in seen]), POINTS)
    np.testing.assert_allclose(np.concatenate([images for images, _ in seen]), CROPS / 255 - 0.5, atol=1e-7)


def test_batches_leave_no_thread_behind_that_fit_waits_for():
    both = training_batches(CROPS, POINTS, 4, 0, lambda *batch: batch[:2]), fixed_batches(CROPS, POINTS, 4)
    assert [batches.options().autotune.enabled for batches in both] == [False, False]


def test_each_iteration_is_the_next_epoch():
    epochs = epoch_by_epoch(lambda epoch: training_batches(CROPS, POINTS, 4, 5, with_draws, epoch, epoch + 1), steps=3)
    assert len(epochs) == 3
    expected = [points.numpy() for _, points in training_batches(CROPS, POINTS, 4, 5, with_draws).take(6)]
    gc.collect()  # the number of the epoch must outlive this
    seen = [points.numpy() for _ in range(2) for _, points in epochs]
    for one, other in zip(seen, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_training_batches_end_before_an_epoch():
    assert len(list(training_batches(CROPS, POINTS, 4, 0, with_draws, first_epoch=3, until=5))) == 2 * 3


def without_first(order, size):
    """The batches of indices without their first pictures."""
    return in_batches(order, size).map(lambda rows: rows[1:])


@pytest.mark.parametrize(
    "make",
    [
        lambda **divide: training_batches(CROPS, POINTS, 4, 3, with_draws, 1, 3, **divide),
        lambda **divide: fixed_batches(CROPS, POINTS, 4, **divide),
    ],
    ids=["training", "fixed"],
)
def test_pictures_of_divided_batches_are_what_they_are_in_whole_batches(make):
    whole, selected = list(make()), list(make(divide=without_first))
    assert len(whole) == len(selected)
    for (images, points), (some_images, some_points) in zip(whole, selected, strict=True):
        np.testing.assert_array_equal(some_images, images[1:])
        np.testing.assert_array_equal(some_points, points[1:])


def test_only_pictures_of_divided_batches_are_read():
    class Counting(np.ndarray):
        def __getitem__(self, rows):
            read.extend(np.atleast_1d(rows))
            return np.asarray(self)[rows]

    read = []
    list(fixed_batches(CROPS.view(Counting), POINTS, 4, divide=without_first))
    assert sorted(read) == [1, 2, 3, 5, 6, 7, 9]
