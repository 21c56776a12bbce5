import gc
import os

import numpy as np
import psutil

from kp_tf.input.batches import fixed_batches
from kp_tf.input.stored import StoredCrops


def stored(crops):
    kept = StoredCrops(crops.shape)
    for index, crop in enumerate(crops):
        kept[index] = crop
    return kept


def test_rows_are_what_was_written():
    crops = np.random.default_rng(0).integers(0, 256, (7, 3, 5, 1), np.uint8)
    kept = stored(crops)
    assert (len(kept), kept.shape) == (7, (7, 3, 5, 1))
    for rows in (np.array([6, 0, 0]), slice(2, 5), slice(None)):
        np.testing.assert_array_equal(kept[rows], crops[rows])
    kept.keep(2)
    np.testing.assert_array_equal(kept[:], crops[:2])


def test_batches_are_those_of_crops_in_memory():
    crops = np.random.default_rng(0).integers(0, 256, (7, 3, 5, 1), np.uint8)
    points = np.zeros((7, 2, 2))
    both = zip(fixed_batches(stored(crops), points, 3), fixed_batches(crops, points, 3), strict=True)
    for (images, _), (expected, _) in both:
        np.testing.assert_array_equal(images, expected)


def test_what_was_read_is_not_kept_in_memory():
    crops = StoredCrops((40, 1024, 1024, 1))
    before = psutil.Process().memory_info().rss
    for row in range(40):
        assert not crops[np.array([row])].any()
    assert psutil.Process().memory_info().rss - before < 20e6


def test_the_file_is_closed_with_the_crops():
    crops = stored(np.zeros((2, 3, 5, 1), np.uint8))
    number = crops._file.fileno()
    assert os.fstat(number).st_size == 2 * 3 * 5
    del crops
    gc.collect()
    assert not os.path.exists(f"/proc/self/fd/{number}")
