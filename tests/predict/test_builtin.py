"""The detector that comes with the package."""

import numpy as np
import pytest
from PIL import Image

from kp_tf.core.geometry import overlaps
from kp_tf.predict.detectors import NamedDetector
from kp_tf.predict.detectors.builtin import find_centres


class Stub:
    """A network that says the same faces for every picture: cells as (row, column, values), and keeps what it saw."""

    def __init__(self, *faces):
        self.faces, self.seen = faces, []

    def __call__(self, images):
        self.seen.append(images)
        _, height, width, _ = images.shape
        cells = np.full((1, height // 8, width // 8, 6), -9, np.float32)
        for row, column, values in self.faces:
            cells[0, row, column] = values
        return cells


def test_faces_of_both_sizes_are_in_pixels_of_the_picture():
    large = Stub((10, 20, (2, 0.25, -0.5, 0, 0, 1)))  # in 640 × 320 pixels: side 32, rotated by 90°
    small = Stub((5, 30, (1, 0, 0, np.log(2), 1, 0)))  # in 320 × 160: side 64, upright
    found = find_centres((large, small), Image.new("RGB", (1280, 640)), 0.5)
    expected = [(2 * 8 * 20.75, 2 * 8 * 10.0, 2 * 32, 90), (4 * 8 * 30.5, 4 * 8 * 5.5, 4 * 64, 0)]
    assert found.faces == pytest.approx(np.array(expected), rel=1e-6)
    assert found.scores == pytest.approx(1 / (1 + np.exp([-2, -1])))
    assert not len(find_centres((large, small), Image.new("RGB", (1280, 640)), 0.9).scores)


def test_a_face_that_both_sizes_show_is_found_once():
    large = Stub((10, 20, (1, 0, 0, 0, 1, 0)))
    small = Stub((5, 10, (2, -0.25, -0.25, -np.log(2), 1, 0)))  # the same place and side
    found = find_centres((large, small), Image.new("RGB", (640, 320)), 0.5)
    assert found.faces == pytest.approx(np.array([(164, 84, 32, 0)]))
    assert found.scores == pytest.approx(1 / (1 + np.exp(-2)))


def test_faces_of_fewer_than_16_pixels_are_left_out():
    sides = {5: 15.9, 20: 16.1, 35: 40}  # by their column
    faces = Stub(*((10, column, (1, 0, 0, np.log(side / 32), 1, 0)) for column, side in sides.items()))
    found = find_centres((faces, Stub()), Image.new("RGB", (640, 320)), 0.5)
    assert sorted(found.faces[:, 2]) == pytest.approx([16.1, 40])


def test_pictures_are_enlarged_at_most_twice_and_black_beyond_their_edges():
    stubs = Stub(), Stub()
    find_centres(stubs, Image.new("RGB", (100, 50), "white"), 0.5)
    for stub in stubs:
        (image,) = stub.seen
        assert image.shape == (1, 128, 224, 1)
        assert (image[0, :100, :200] == 0.5).all()
        assert (image[0, 100:] == -0.5).all()
        assert (image[0, :, 200:] == -0.5).all()


@pytest.mark.parametrize("angle", [0, 90, 180, 270])
def test_a_face_is_found_at_any_angle_with_its_angle(drawn_face, angle):
    image, box = drawn_face
    square = Image.new("RGB", (max(image.size),) * 2)
    square.paste(image)
    side, (left, top, width, height) = square.width, box
    x, y = left, top
    for _ in range(angle // 90):
        x, y = side - y - height, x
    found = NamedDetector("builtin").detect(square.rotate(-angle))
    assert len(found.boxes)
    assert overlaps(found.boxes[:1], np.array([x, y, width, height])) > 0.5
    assert abs((found.angles[0] - angle + 180) % 360 - 180) < 30
    assert len(NamedDetector("builtin", threshold=0.999)(square)) == 0
