"""Which photographs are kept for validation."""

import hashlib

import numpy as np
import pytest

from kp_tf.data.splits import hold_out_tenth, in_imm_validation, in_validation, is_mirror, photograph_key


@pytest.mark.parametrize(
    ("file", "key"),
    [
        ("helen/trainset/123_1.jpg", "helen/trainset/123"),
        ("helen/trainset/123_2_mirror.jpg", "helen/trainset/123"),
        ("afw/4538917191_5_mirror.jpg", "afw/4538917191"),
        ("lfpw/trainset/image_0001.png", "lfpw/trainset/image_0001"),
        ("lfpw/testset/image_0001_mirror.jpg", "lfpw/testset/image_0001"),
        ("ibug/image_003_1.jpg", "ibug/image_003"),
        ("sample/00001.jpg", "sample/00001"),
        ("plain.jpg", "plain"),
    ],
)
def test_photograph_key(file, key):
    assert photograph_key(file) == key
    assert is_mirror(file) == ("_mirror." in file)
    number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big")  # the first eight hex digits
    assert in_validation(file) == (number % 10 == 0)


def test_imm_validation_is_people_33_to_40():
    assert [n for n in range(1, 60) if in_imm_validation(f"{n:02d}-1m.jpg")] == list(range(33, 41))


@pytest.mark.parametrize(("photographs", "count"), [(1, 0), (2, 1), (14, 1), (20, 2), (26, 3)])
def test_a_tenth_of_the_photographs_is_held_out(photographs, count):
    files = [f"{k}.png" for k in range(photographs) for _ in range(2)]
    held_out = hold_out_tenth(files)
    assert held_out.sum() == 2 * count
    sides = [{file for file, held in zip(files, held_out, strict=True) if held == side} for side in (False, True)]
    assert not sides[0] & sides[1]
    np.testing.assert_array_equal(hold_out_tenth(files[::-1]), held_out[::-1])


def test_names_that_are_not_in_utf_8_are_divided():
    names = [f"{k}{chr(0xDCE9)}.jpg" for k in range(20)]
    assert hold_out_tenth(names).sum() == 2
    assert isinstance(in_validation(names[0]), bool)
