"""What the detector learns from: pictures moved with their boxes, canvases, targets and the faces counted."""

import numpy as np
import pytest
from PIL import Image

from kp_tf.core.centres import CHANNELS, Centres, decode
from kp_tf.core.errors import KpError
from kp_tf.core.files import write_json
from kp_tf.training.detector.backgrounds import CLEAR, draw_textures, find_windows
from kp_tf.training.detector.batches import draw_batch
from kp_tf.training.detector.mosaics import MIN_FACE, Source, draw_canvas
from kp_tf.training.detector.pictures import MAX_FACE, Picture, load, read_list
from kp_tf.training.detector.scores import match
from kp_tf.training.detector.targets import Boxes, render
from kp_tf.training.detector.warp import Similarity

NONE = np.zeros((0, 3))


def picture_of(face, size=(120, 100), ignored=NONE, complete=True):
    """A grey picture whose only bright pixels are about the middle of the forehead of a face."""
    x, y, side, angle = face
    turn = np.radians(angle)
    grey = np.full(size[::-1], 60, np.uint8)
    row, column = (int(value) for value in (y - np.cos(turn) * side / 4, x + np.sin(turn) * side / 4))
    grey[row - 2 : row + 3, column - 2 : column + 3] = 250
    return Picture("a.png", grey, Boxes(np.array([face], float), np.array(ignored, float)), complete, 1.0)


@pytest.fixture(scope="module")
def source():
    faces = [(60, 50, 40, 0), (50, 50, 30, 90), (70, 40, 32, -45)]
    crowd = picture_of((30, 30, 20, 0), ignored=[(90, 70, 20)])
    return Source.of([*map(picture_of, faces), crowd])


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize(("scale", "angle"), [(1.0, 0), (2.0, 90), (0.4, -130), (1.5, 37)])
def test_a_box_moves_with_the_pixels(scale, angle, mirror):
    picture = picture_of((60, 50, 40, 20))
    similarity = Similarity(scale, angle, mirror, np.array([60.0, 50.0]), np.array([150.0, 140.0]))
    canvas = np.asarray(similarity.warp(Image.fromarray(picture.grey), (300, 280)), float)
    (x, y, side, turn) = similarity.boxes(picture.boxes).faces[0]
    rows, columns = np.nonzero(canvas > 200)
    forehead = x + np.sin(np.radians(turn)) * side / 4, y - np.cos(np.radians(turn)) * side / 4
    assert (x, y, side) == pytest.approx((150, 140, 40 * scale))
    assert (columns.mean() + 0.5, rows.mean() + 0.5) == pytest.approx(forehead, abs=1.5)


def test_a_part_of_a_canvas_is_that_part_of_the_whole():
    picture = Image.fromarray(picture_of((60, 50, 40, 20)).grey)
    similarity = Similarity(0.8, 30, True, np.array([60.0, 50.0]), np.array([50.0, 40.0]))
    whole, part = (np.asarray(similarity.warp(picture, *how)) for how in [((90, 80),), ((30, 20), (40, 35))])
    assert np.abs(whole[35:55, 40:70].astype(int) - part).max() <= 1


def test_targets_decode_to_the_faces():
    faces = np.array([[37.0, 61, 30, 170], [100, 20, 60, -45]])
    targets = render(Boxes(faces, NONE), (96, 160))
    cells = np.zeros((*targets.shape[:2], CHANNELS), np.float32)
    cells[..., 0] = np.log(targets[..., 0] + 1e-9)  # below 0, at the centres 0
    cells[..., 1:] = targets[..., 3:]
    found = decode(cells, 0.45)
    assert found.faces[np.argsort(found.faces[:, 0])] == pytest.approx(faces, abs=1e-3)
    assert (targets[..., 0] == 1).sum() == 2


def test_ignored_places_have_no_weight_but_a_face_in_them_has():
    targets = render(Boxes(np.array([[40.0, 40, 24, 0]]), np.array([[60.0, 40, 80], [140, 80, 2]])), (96, 160))
    known, heat = targets[..., 1], targets[..., 0]
    assert known[heat > 0.2].all()
    assert not known[5, 8]
    assert not known[10, 17]  # even a small place has a cell
    assert known[0, 14:].all()


@pytest.mark.parametrize("number", range(12))
def test_a_canvas_has_its_faces_on_it_and_is_the_same_again(source, number):
    drawn = [draw_canvas(source, 160, np.random.default_rng((3, number))) for _ in range(2)]
    (pixels, boxes), (again, _) = drawn
    assert pixels.shape == (160, 160)
    assert pixels.dtype == np.uint8
    assert (pixels == again).all()
    assert ((boxes.faces[:, :2] > 0) & (boxes.faces[:, :2] < 160)).all()
    assert (boxes.faces[:, 2] >= MIN_FACE).all()


def test_canvases_differ_and_most_have_faces(source):
    canvases, targets = draw_batch(source, 0, 7, 16, 160)
    assert canvases.shape == (16, 160, 160, 1)
    assert targets.shape == (16, 20, 20, 8)
    assert len({canvas.tobytes() for canvas in canvases}) == 16
    assert (targets[..., 0].max(axis=(1, 2)) == 1).sum() >= 10


def test_windows_touch_no_face():
    pictures = [picture_of((60, 50, 20, 0), ignored=[(20, 20, 10)]) for _ in range(20)]
    windows = find_windows(pictures, np.random.default_rng(0))
    assert windows
    for window in windows:
        low = np.array([window.left, window.top])
        for x, y, side in ((60, 50, 20), (20, 20, 10)):
            nearest = np.clip((x, y), low, low + window.side)
            assert np.abs(nearest - (x, y)).max() >= CLEAR * side / 2


def test_textures_differ_and_are_the_same_for_every_process():
    first, second = (draw_textures(np.random.default_rng(0)) for _ in range(2))
    assert all((a == b).all() for a, b in zip(first, second, strict=True))
    assert len({texture.tobytes() for texture in first}) > 0.9 * len(first)


def test_pictures_are_read_grey_and_reduced(tmp_path):
    Image.new("RGB", (600, 500), (10, 200, 30)).save(tmp_path / "a.png")
    entry = {"file": "a.png", "faces": [[300, 250, 2 * MAX_FACE, 10]], "ignored": [[100, 50, 20]], "weight": 3}
    write_json(tmp_path / "list.json", {"training": [entry]})
    parts = read_list(tmp_path / "list.json")
    (picture,) = load(parts["training"])
    assert picture.grey.shape == (250, 300)
    assert picture.boxes.faces.tolist() == [[150, 125, MAX_FACE, 10]]
    assert picture.boxes.ignored.tolist() == [[50, 25, 10]]
    assert (picture.weight, picture.is_complete, parts["validation"]) == (3, True, [])


@pytest.mark.parametrize("content", [{}, {"training": []}, {"training": [{"faces": []}]}, {"training": {"file": "a"}}])
def test_a_list_without_pictures_is_refused(tmp_path, content):
    write_json(tmp_path / "list.json", content)
    with pytest.raises(KpError, match=r"list\.json"):
        read_list(tmp_path / "list.json")


def test_found_missed_and_false_boxes_are_counted():
    picture = picture_of((60, 50, 40, 170), ignored=[(20, 20, 10)])
    found = np.array([[62, 50, 44, -175], [21, 21, 10, 0], [100, 80, 10, 0], [58, 50, 30, 160]], float)
    count = match(picture, Centres(found, np.ones(4)))
    assert (count.faces, count.found, count.false) == (1, 1, 1)
    assert count.angles == pytest.approx([15])
    assert match(picture, Centres(found[1:3], np.ones(2)))[:3] == (1, 0, 1)
    assert match(picture_of((60, 50, 40, 0), complete=False), Centres(found, np.ones(4))).false == 0
